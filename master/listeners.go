package master

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/fugue-http/fugue/internal/config"
	"github.com/fugue-http/fugue/internal/wire"
	"github.com/fugue-http/fugue/sockets"
)

// listener is a socket and what the file calls it: a reload that names it again
// goes on with the same one. An address with port 0 is bound to another.
type listener struct {
	*sockets.Listener
	asked   string // as the file has it; "" for one that was handed over
	options sockets.Options
}

// inherit takes over what systemd, or whoever follows its protocol, has opened.
func inheritListeners() ([]*listener, error) {
	handed, err := sockets.Inherited(os.Getpid(), os.Getenv)
	if err != nil {
		return nil, err
	}
	for _, name := range wire.WorkerEnv {
		_ = os.Unsetenv(name)
	}
	var all []*listener
	for _, l := range handed {
		all = append(all, &listener{Listener: l, options: sockets.Options{Name: l.Name(), Owner: -1, Group: -1}})
	}
	return all, nil
}

// listenerPlan is what a file makes of the listeners that there are.
type listenerPlan struct {
	cfg    *config.Config
	have   []*listener
	list   []*listener // in the order of the file, behind those that were handed over
	opened []*listener // those of list that were not there before
	want   []sockets.Options
	wait   bool // for addresses that are in use: at a start they may be about to be free
}

// planListeners opens what is new: all of it or nothing. What is there already
// stays as it is until the plan is carried out.
func planListeners(cfg *config.Config, have []*listener, wait bool) (*listenerPlan, error) {
	p := &listenerPlan{cfg: cfg, have: have, wait: wait}
	for _, l := range have {
		if l.Adopted() {
			p.add(l, l.options)
		}
	}
	for _, spec := range cfg.Addresses() {
		if err := p.take(spec); err != nil {
			closeAll(p.opened)
			return nil, err
		}
	}
	if len(p.list) == 0 {
		return nil, errors.New("listen: there is no address to listen on and systemd handed over no socket")
	}
	return p, nil
}

func (p *listenerPlan) add(l *listener, want sockets.Options) {
	p.list, p.want = append(p.list, l), append(p.want, want)
}

func (p *listenerPlan) take(spec config.Listener) error {
	addr, err := sockets.ParseAddress(spec.Address)
	if err != nil {
		return err
	}
	if p.handedOver(addr) {
		if spec.ReusePort {
			return fmt.Errorf("listen on %s: reuseport is not for a socket that was handed over: its maker has the one socket", spec.Address)
		}
		return nil
	}
	opt, err := p.options(spec, addr)
	if err != nil {
		return fatal("listen on "+spec.Address, err)
	}
	if l := p.kept(addr); l != nil {
		if isWildcard6(addr) && l.options.V6Only != opt.V6Only {
			return fmt.Errorf("listen on %s: whether 0.0.0.0:%s has the IPv4 connections is settled when the sockets are opened; stop and start to change it",
				spec.Address, addr.Port)
		}
		if l.Grouped() != opt.ReusePort {
			return fmt.Errorf("listen on %s: whether workers have sockets of their own (reuseport) is settled when the address is opened; stop and start to change it",
				spec.Address)
		}
		p.add(l, opt)
		return nil
	}
	l, err := sockets.Listen(addr, opt)
	if err != nil {
		return err
	}
	fresh := &listener{Listener: l, asked: addr.String(), options: opt}
	p.opened = append(p.opened, fresh)
	p.add(fresh, opt)
	return nil
}

// kept finds the socket of addr among those that there are: each one once, for an
// address with port 0 may be listed twice. A unix socket whose file was removed is of
// no use any more.
func (p *listenerPlan) kept(addr sockets.Address) *listener {
	for _, l := range p.have {
		if l.asked == addr.String() && !l.Adopted() && l.Reachable() && !slices.Contains(p.list, l) {
			return l
		}
	}
	return nil
}

// isWildcard6 says that addr may take IPv4 connections as well.
func isWildcard6(addr sockets.Address) bool {
	return addr.Network == "tcp" && (addr.Host == "" || addr.Host == "::")
}

// handedOver says that addr is among what systemd opened already, by its name
// or because it is the same address.
func (p *listenerPlan) handedOver(addr sockets.Address) bool {
	for _, l := range p.have {
		if !l.Adopted() {
			continue
		}
		if addr.Network == "systemd" && l.Name() == addr.Name || l.Address() == addr.String() {
			return true
		}
	}
	return false
}

func (p *listenerPlan) options(spec config.Listener, addr sockets.Address) (sockets.Options, error) {
	opt := sockets.Options{Name: spec.Name, Backlog: spec.Backlog, DeferAccept: spec.DeferAccept,
		Mode: spec.Mode.Bits, Owner: -1, Group: -1, V6Only: p.sharesPort(addr), ReusePort: spec.ReusePort}
	if !p.wait {
		opt.Patience = -1
	}
	var err error
	if spec.Owner != "" {
		if opt.Owner, err = config.UserID(spec.Owner); err != nil {
			return opt, fatal("owner", err)
		}
	}
	if spec.Group != "" {
		if opt.Group, err = config.GroupID(spec.Group); err != nil {
			return opt, fatal("group", err)
		}
	}
	return opt, nil
}

// sharesPort says that the IPv4 wildcard is listed with the same port, so that
// the IPv6 one must leave IPv4 to it.
func (p *listenerPlan) sharesPort(addr sockets.Address) bool {
	for _, other := range p.cfg.Addresses() {
		o, err := sockets.ParseAddress(other.Address)
		if err == nil && o.Network == "tcp" && o.Host == "0.0.0.0" && o.Port == addr.Port {
			return true
		}
	}
	return false
}

func closeAll(list []*listener) error {
	var errs []error
	for _, l := range list {
		if err := l.Close(); err != nil {
			errs = append(errs, fmt.Errorf("close %s: %w", l.Address(), err))
		}
	}
	return errors.Join(errs...)
}
