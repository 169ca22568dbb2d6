package config

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strconv"
)

// Identity is whom the workers run as.
type Identity struct {
	UID, GID   uint32
	Groups     []uint32 // all supplementary groups, GID among them
	User, Home string   // "" if no user has this number
}

// Identity looks up uid and gid; nil if neither is given, the user that we are
// if only gid is. The groups are those
// that initgroups(3) would set: the user's, with gid for the user's own group.
func (c *Config) Identity() (*Identity, error) {
	switch {
	case c.UID == "" && c.GID == "":
		return nil, nil
	case c.UID == "":
		gid, err := lookupGroup(c.GID)
		if err != nil {
			return nil, err
		}
		return &Identity{UID: uint32(os.Geteuid()), GID: gid, Groups: []uint32{gid}}, nil
	}
	u, err := lookupUser(c.UID)
	if err != nil {
		return nil, err
	}
	if c.GID != "" {
		gid, err := lookupGroup(c.GID)
		if err != nil {
			return nil, err
		}
		u.Gid = strconv.FormatUint(uint64(gid), 10)
	}
	return identityOf(u)
}

func identityOf(u *user.User) (*Identity, error) {
	if u.Gid == "" {
		return nil, fmt.Errorf("no user has the number %s, so that gid is needed too", u.Uid)
	}
	ids, err := toIDs(u.Uid, u.Gid)
	if err != nil {
		return nil, err
	}
	if ids[0] == 0 {
		return nil, errRootWorkers // a name beside root that has the number 0
	}
	groups, err := groupsOf(u)
	if err != nil {
		return nil, fmt.Errorf("groups of %s: %w", u.Username, err)
	}
	return &Identity{UID: ids[0], GID: ids[1], Groups: groups, User: u.Username, Home: u.HomeDir}, nil
}

// groupsOf lists the group of u and those that the group file puts it in.
func groupsOf(u *user.User) ([]uint32, error) {
	list := []string{u.Gid}
	if u.Username != "" {
		more, err := u.GroupIds()
		if err != nil {
			return nil, err
		}
		list = append(list, more...)
	}
	ids, err := toIDs(list...)
	slices.Sort(ids)
	return slices.Compact(ids), err
}

func toIDs(texts ...string) ([]uint32, error) {
	ids := make([]uint32, len(texts))
	for i, text := range texts {
		id, isNumber, err := parseID(text)
		if err == nil && !isNumber {
			err = fmt.Errorf("%q is not an id", text)
		}
		if err != nil {
			return nil, err
		}
		ids[i] = id
	}
	return ids, nil
}

// lookupUser finds a user by number or name. A number that nobody has is a user
// without name, home and groups.
func lookupUser(name string) (*user.User, error) {
	if err := checkUser(name); err != nil {
		return nil, err
	}
	if _, isNumber, _ := parseID(name); !isNumber {
		u, err := user.Lookup(name)
		return u, missing("user", name, err)
	}
	u, err := user.LookupId(name)
	var unknown user.UnknownUserIdError
	if errors.As(err, &unknown) {
		return &user.User{Uid: name}, nil
	}
	return u, missing("user", name, err)
}

// lookupGroup finds the number of a group; a number needs no entry.
func lookupGroup(name string) (uint32, error) {
	if err := checkUser(name); err != nil {
		return 0, err
	}
	if id, isNumber, _ := parseID(name); isNumber {
		return id, nil
	}
	g, err := user.LookupGroup(name)
	if err != nil {
		return 0, missing("group", name, err)
	}
	ids, err := toIDs(g.Gid)
	if err != nil {
		return 0, err
	}
	return ids[0], nil
}

func missing(what, name string, err error) error {
	var noUser user.UnknownUserError
	var noGroup user.UnknownGroupError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &noUser), errors.As(err, &noGroup):
		return fmt.Errorf("there is no %s %q", what, name)
	}
	return fmt.Errorf("look up %s %q: %w", what, name, err)
}

// UserID is the number of a user given by number or name, for the owner of a
// socket file.
func UserID(name string) (int, error) {
	if name == "root" || name == "0" {
		return 0, nil
	}
	u, err := lookupUser(name)
	if err != nil {
		return -1, err
	}
	return strconv.Atoi(u.Uid)
}

// GroupID is the number of a group given by number or name.
func GroupID(name string) (int, error) {
	gid, err := lookupGroup(name)
	return int(gid), err
}
