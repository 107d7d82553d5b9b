package build

import (
	"fmt"
	"io"
	"strings"

	"github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/solver/errdefs"
)

// Warning is one finding of BuildKit's linter.
type Warning struct {
	Message string // "JSONArgsRecommended: JSON arguments recommended for CMD … (line 5)"
	Line    int    // 0: no place
	Detail  string
	URL     string
	source  *errdefs.Source
}

func newWarning(msg string, o client.WarnOpts) Warning {
	w := Warning{Message: msg, URL: o.URL}
	if len(o.Detail) > 0 {
		w.Detail = string(o.Detail[0])
	}
	if len(o.Range) > 0 {
		w.Line = int(o.Range[0].GetStart().GetLine())
		w.source = &errdefs.Source{Info: o.SourceInfo, Ranges: o.Range}
	}
	return w
}

// lintError is the error of a Dockerfile with `# check=error=true`: the findings are what is wrong.
type lintError struct {
	err      error
	warnings []Warning
}

// Error names the rules.
func (e *lintError) Error() string { return e.err.Error() }

// Unwrap returns the error.
func (e *lintError) Unwrap() error { return e.err }

// withWarnings adds its findings to an error of the linter, which has no type of its own.
func withWarnings(err error, ws []Warning) error {
	if len(ws) == 0 || !strings.HasPrefix(err.Error(), "lint violation found") {
		return err
	}
	return &lintError{err, ws}
}

// PrintWarnings writes the warnings as docker does: how many, then each with its excerpt.
func PrintWarnings(w io.Writer, ws []Warning) error {
	if len(ws) == 0 {
		return nil
	}
	var b strings.Builder
	plural := "s"
	if len(ws) == 1 {
		plural = ""
	}
	fmt.Fprintf(&b, "\n %d warning%s found:\n", len(ws), plural)
	for _, x := range ws {
		fmt.Fprintf(&b, "\nWARN: %s\n", x.Message)
		if x.Detail != "" {
			fmt.Fprintf(&b, "%s\n", x.Detail)
		}
		if x.URL != "" {
			fmt.Fprintf(&b, "More info: %s\n", x.URL)
		}
		b.WriteString(excerpt(x.source))
	}
	_, err := io.WriteString(w, b.String())
	return err
}
