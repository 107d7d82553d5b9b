package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/deckhand-engine/deckhand/internal/hint"
)

// exitOciExec is runc's code for an exec that did not start.
const exitOciExec = 255

// report writes an error where runc's callers look for it: on stderr and in the log. What it returns prints
// nothing more.
func (o *ociApp) report(err error) error {
	if err == nil {
		return nil
	}
	if ce, ok := errors.AsType[*codeError](err); ok && ce.err == nil {
		return err // the container's own
	}
	code := exitFailure
	if o.name == "exec" {
		code = exitOciExec
	}
	prefix := "deckhand oci"
	if o.name != "" {
		prefix += " " + o.name
	}
	message := strings.TrimRight(err.Error(), "\n")
	o.note("%s: %s", prefix, message)
	for _, l := range hint.Of(err) {
		o.note("  %s", l)
	}
	if o.logPath != "" {
		o.log("error", message)
	}
	return exitWith(code)
}

// log writes one line to the log; without one, to stderr. Debugging is written only with --debug.
func (o *ociApp) log(level, message string) {
	if level == "debug" && !o.debug {
		return
	}
	line := o.logLine(level, message)
	if o.logPath == "" {
		o.note("%s", line)
		return
	}
	f, err := os.OpenFile(o.logPath, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644) //nolint:gosec // as runc's: the caller may be another user
	if err == nil {
		_, err = f.WriteString(line + "\n")
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		o.note("deckhand oci: write the log: %v", err)
	}
}

// logLine is a line as logrus, and so runc, writes it.
func (o *ociApp) logLine(level, message string) string {
	now := o.now().Format(time.RFC3339)
	if o.logFormat != "json" {
		return fmt.Sprintf("time=%q level=%s msg=%q", now, level, message)
	}
	line, err := json.Marshal(struct {
		Level   string `json:"level"`
		Message string `json:"msg"`
		Time    string `json:"time"`
	}{level, message, now})
	if err != nil { // three strings
		return err.Error()
	}
	return string(line)
}
