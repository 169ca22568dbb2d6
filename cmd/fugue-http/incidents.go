package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/fugue-http/fugue/internal/control"
)

// incidents shows the last ones, the newest last, where the eye is.
func (p program) incidents(c call) error {
	list, err := c.client.Incidents()
	if err != nil {
		return err
	}
	if c.json {
		return p.incidentsJSON(list)
	}
	if len(list) == 0 {
		return p.print("no incidents\n")
	}
	var b strings.Builder
	for i := len(list) - 1; i >= 0; i-- {
		describeIncident(&b, list[i])
	}
	return p.print(b.String())
}

func (p program) incidentsJSON(list []control.Incident) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(list); err != nil {
		return err
	}
	return p.print(string(control.PrintableJSON(b.Bytes())))
}

func describeIncident(b *strings.Builder, in control.Incident) {
	fmt.Fprintf(b, "%s  %s  worker %d  pid %d  %s  %s\n", in.At.Local().Format(time.DateTime), in.Kind, in.Worker, in.PID, in.Outcome, control.Printable(in.ID))
	if in.Kind == "timeout" {
		answer := "connection cut"
		if in.Status != 0 {
			answer = "answered " + strconv.Itoa(in.Status)
		}
		fmt.Fprintf(b, "  %s %s  from %s  after %s  %s\n", control.Printable(in.Method), control.Printable(in.Path), control.Printable(in.Remote),
			time.Duration(in.AgeMS)*time.Millisecond, answer)
	}
	if in.Reason != "" {
		fmt.Fprintf(b, "  %s\n", control.Printable(in.Reason))
	}
	for line := range strings.Lines(in.Stack) {
		fmt.Fprintf(b, "    %s\n", control.Printable(strings.TrimRight(line, "\n")))
	}
	b.WriteByte('\n')
}
