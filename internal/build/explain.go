package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/solver/errdefs"

	"github.com/deckhand-engine/deckhand/internal/hint"
)

// PrintError writes what went wrong: the place in the Dockerfile with an excerpt, the error, and what to type.
func PrintError(w io.Writer, err error) error {
	var b strings.Builder
	if l, ok := errors.AsType[*lintError](err); ok {
		if werr := PrintWarnings(&b, l.warnings); werr != nil {
			return werr
		}
	}
	for _, src := range errdefs.Sources(err) {
		b.WriteString(excerpt(src))
	}
	fmt.Fprintf(&b, "ERROR: %s\n", message(err))
	for _, l := range hint.Of(err) {
		fmt.Fprintf(&b, "  %s\n", l)
	}
	_, werr := io.WriteString(w, b.String())
	return werr
}

// message takes BuildKit's inner workings out of an error.
func message(err error) string {
	if nf, ok := errors.AsType[*notFoundError](err); ok {
		return nf.Error()
	}
	return err.Error()
}

// excerpt is BuildKit's: the lines of a place with those around them.
func excerpt(src *errdefs.Source) string {
	if src == nil || src.Info == nil {
		return ""
	}
	var b strings.Builder
	if err := src.Print(&b); err != nil {
		return ""
	}
	return b.String()
}

// explain adds to an error what the user can do about it.
func (s *solver) explain(ctx context.Context, err error, o Options) error {
	var nf *notFoundError
	var hinted *hint.Error
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &hinted):
		return err
	case errors.As(err, &nf):
		return s.explainNotFound(err, nf)
	case strings.Contains(err.Error(), "failed to read dockerfile") && errors.Is(err, fs.ErrNotExist):
		p := o.Dockerfile
		if o.InContext {
			p = filepath.Join(o.ContextDir, p)
		}
		return hint.With(fmt.Errorf("open %s: no such file or directory", p),
			"name the Dockerfile:  deckhand build -f FILE "+cmpOr(o.ContextDir, "-"))
	case errors.Is(err, filepath.ErrBadPattern) && len(errdefs.Sources(err)) == 0: // no line: not COPY's
		return fmt.Errorf("read the ignore file (.dockerignore): %w", err)
	case strings.HasPrefix(err.Error(), "target stage "):
		return s.explainTarget(ctx, err)
	}
	return err
}

// outside matches a source that climbs out of the build context.
const outside = `(^|[\s=,"'\[])\.\./`

func (s *solver) explainNotFound(err error, nf *notFoundError) error {
	if nf.ignored {
		return hint.With(err, "take it back in:  a line !"+strings.TrimPrefix(nf.path, "/")+" in the .dockerignore file")
	}
	climbs := regexp.MustCompile(outside) // here, not in a variable: it is needed once, after an error
	for _, src := range errdefs.Sources(err) {
		if climbs.MatchString(strings.Join(linesOf(src), "\n")) {
			return hint.With(err, "a build sees nothing outside its context, so ../ stays at its root",
				"pass another directory by name:  deckhand build --build-context NAME=DIR …, then COPY --from=NAME")
		}
	}
	return err
}

// linesOf are the lines a place covers.
func linesOf(src *errdefs.Source) []string {
	lines := strings.Split(string(src.GetInfo().GetData()), "\n")
	var out []string
	for _, r := range src.GetRanges() {
		for l := r.GetStart().GetLine(); l <= max(r.GetEnd().GetLine(), r.GetStart().GetLine()); l++ {
			if l >= 1 && int(l) <= len(lines) {
				out = append(out, lines[l-1])
			}
		}
	}
	return out
}

// explainTarget lists the stages there are.
func (s *solver) explainTarget(ctx context.Context, err error) error {
	dt := s.dockerfileData()
	list, lerr := dockerfile2llb.ListTargets(ctx, dt)
	if lerr != nil {
		return err
	}
	var names []string
	for _, t := range list.Targets {
		if t.Name != "" {
			names = append(names, t.Name)
		}
	}
	if len(names) == 0 {
		return hint.With(err, "no stage has a name: give it one with FROM … AS NAME")
	}
	slices.Sort(names)
	return hint.With(err, "stages: "+strings.Join(names, ", "))
}

// dockerfileData is the Dockerfile as it was read, or nothing.
func (s *solver) dockerfileData() []byte {
	if s.opts.DockerfileData != nil {
		return s.opts.DockerfileData
	}
	p, err := s.dockerfilePath(s.opts.Dockerfile)
	if err != nil {
		return nil
	}
	dt, err := os.ReadFile(p)
	if err != nil {
		return nil
	}
	return dt
}
