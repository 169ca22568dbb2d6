package config

// NewListener is a [[listener]] table in which nothing is set yet.
func NewListener() Listener { return *withDefaults[Listener]() }

// ParseMode reads permission bits as a file gives them ("0027").
func ParseMode(text string) (Mode, error) {
	m, err := parseMode("", text)
	if err != nil {
		return Mode{}, err
	}
	return m.(Mode), nil
}
