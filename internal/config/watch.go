package config

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// Patterns are what http.ServeMux calls r: one for each of its methods.
func (r Route) Patterns() []string {
	if len(r.Methods) == 0 {
		return []string{r.Path}
	}
	patterns := make([]string, len(r.Methods))
	for i, m := range r.Methods {
		patterns[i] = strings.ToUpper(m) + " " + r.Path
	}
	return patterns
}

// watch checks what the workers would otherwise stumble over: the patterns are
// tried out together, as they would be used.
func (v *validator) watch() {
	if s := v.c.Watch.Status; s != 0 && s < 400 {
		v.check("watch.status", fmt.Errorf("must be 0 or a status of an error, 400 to 599, not %d", s))
	}
	mux := http.NewServeMux()
	for i, r := range v.c.Watch.Routes {
		at := indexKey("watch.route", i)
		if r.Path == "" {
			v.check(at+".path", errors.New("is required: which paths is the limit for?"))
			continue
		}
		for _, p := range r.Patterns() {
			v.check(at+".path", try(mux, p))
		}
	}
}

// try registers a pattern; ServeMux panics over a wrong one, with the reason.
func try(mux *http.ServeMux, pattern string) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%q cannot be used: %s", pattern, reason(fmt.Sprint(r)))
		}
	}()
	mux.Handle(pattern, http.NotFoundHandler())
	return nil
}

// reason takes the places in our own source out of ServeMux's words.
func reason(text string) string {
	if strings.Contains(text, "conflicts with") {
		return "it conflicts with another route, which matches some of the same requests"
	}
	text, _, _ = strings.Cut(text, "\n")
	return text
}
