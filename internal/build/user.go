package build

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/sys/user"

	"github.com/deckhand-engine/deckhand/internal/store"
	"github.com/deckhand-engine/deckhand/oci"
)

// UserReport says which user an image runs as.
type UserReport struct {
	User    string // USER as the image has it
	UID     uint32
	GID     uint32
	Name    string // in the image's passwd; empty: no entry
	Problem string // why the user cannot be resolved; then nothing else is known
	Why     string // where a root user comes from: "no stage sets USER (Dockerfile:1 FROM ubuntu:latest)"
	Fix     string // what to write where: "add before CMD, line 7:  USER 9000"
}

// Root reports whether the image runs as uid 0.
func (r UserReport) Root() bool { return r.Problem == "" && r.UID == 0 }

// Lines are what is shown at the end of a build of the image called name.
func (r UserReport) Lines(name string) []string {
	switch {
	case r.Problem != "":
		return []string{fmt.Sprintf("%s cannot run: %s", name, r.Problem)}
	case r.Root():
		return []string{fmt.Sprintf("%s runs as root: %s", name, r.Why), "  " + r.Fix}
	case r.Name == "":
		return []string{fmt.Sprintf("%s runs as %d (no passwd entry)", name, r.UID)}
	}
	return []string{fmt.Sprintf("%s runs as %d (%s)", name, r.UID, r.Name)}
}

// suggestedUID is the article's: beyond what distributions hand out, below what a container lacks.
const suggestedUID = "9000"

// reportUser resolves the image's user in its own root.
func (s *solver) reportUser(img *store.Image, layers []string, dockerfile []byte, o Options) (UserReport, error) {
	r, err := s.resolveUser(img.Config.Config.User, layers)
	if r.Root() {
		r.Why, r.Fix = rootCause(dockerfile, o)
	}
	return r, err
}

// resolveUser looks a user up in the root that the layers make; the answer is remembered with the layers.
func (s *solver) resolveUser(spec string, layers []string) (UserReport, error) {
	r := UserReport{User: spec}
	memo, err := opKey(&pb.Op{}, []string{"user", spec, layersKey(layers)})
	if err != nil || s.cache.memo(memo, &r) && r.User == spec {
		return r, err
	}
	t, release, err := s.stage.view(&snapshot{Layers: layers})
	if err != nil {
		return r, err
	}
	defer release()
	root, err := os.Open(t.dir)
	if err != nil {
		return r, fmt.Errorf("open image root: %w", err)
	}
	defer func() { _ = root.Close() }() // nothing is written through it
	u, err := oci.ResolveUser(root, spec, nil)
	if err != nil {
		r.Problem = err.Error() // the image is built; that it cannot run is said at the end
	} else {
		r.UID, r.GID, r.Name = u.UID, u.GID, cmpOr(u.Name, nameOf(t, int(u.UID)))
	}
	return r, s.cache.setMemo(memo, r)
}

// nameOf is a uid's name in the tree's passwd.
func nameOf(t *tree, uid int) string {
	rel, err := t.resolve("etc/passwd", true)
	if err != nil {
		return ""
	}
	f, err := openRegular(t.host(rel))
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }() // it was only read
	us, err := user.ParsePasswdFilter(f, func(x user.User) bool { return x.Uid == uid })
	if err != nil || len(us) == 0 {
		return ""
	}
	return us[0].Name
}

// rootCause finds the line that makes the image run as root and what to write instead.
func rootCause(dockerfile []byte, o Options) (why, fix string) {
	why, fix = "no stage sets USER", "add at the end:  USER "+suggestedUID
	ast, err := parser.Parse(bytes.NewReader(dockerfile))
	if err != nil {
		return why, fix
	}
	stages, _, err := instructions.Parse(ast.AST, nil)
	if err != nil || len(stages) == 0 {
		return why, fix
	}
	target := findStage(stages, o.Target, len(stages)-1)
	name := dockerfileName(o)
	for i := target; i >= 0; {
		st := stages[i]
		if l, text := lastUser(st); l > 0 {
			why = fmt.Sprintf("%s:%d %s", name, l, text)
			if i == target {
				return why, fmt.Sprintf("change line %d:  USER %s", l, suggestedUID)
			}
			return why, fixIn(stages[target])
		}
		next := -1
		if j := findStage(stages[:i], st.BaseName, -1); j >= 0 {
			next = j
		} else {
			why = fmt.Sprintf("no stage sets USER (%s:%d %s)", name, lineOf(st.Location), st.SourceCode)
		}
		i = next
	}
	return why, fixIn(stages[target])
}

// findStage is the index of the last stage called name.
func findStage(stages []instructions.Stage, name string, otherwise int) int {
	for i := range slices.Backward(stages) {
		if name != "" && strings.EqualFold(stages[i].Name, name) {
			return i
		}
	}
	return otherwise
}

func lastUser(st instructions.Stage) (line int, text string) {
	for _, c := range st.Commands {
		if u, ok := c.(*instructions.UserCommand); ok {
			line, text = lineOf(u.Location()), "USER "+u.User
		}
	}
	return line, text
}

// fixIn says where USER goes in a stage: after everything that needs root, before what starts the service.
func fixIn(st instructions.Stage) string {
	last := lineEnd(st.Location)
	for _, c := range st.Commands {
		switch c.(type) {
		case *instructions.CmdCommand, *instructions.EntrypointCommand:
			return fmt.Sprintf("add before %s, line %d:  USER %s", strings.ToUpper(c.Name()), lineOf(c.Location()), suggestedUID)
		}
		last = max(last, lineEnd(c.Location()))
	}
	return fmt.Sprintf("add after line %d:  USER %s", last, suggestedUID)
}

func lineOf(rs []parser.Range) int {
	if len(rs) == 0 {
		return 0
	}
	return rs[0].Start.Line
}

func lineEnd(rs []parser.Range) int {
	end := 0
	for _, r := range rs {
		end = max(end, r.Start.Line, r.End.Line)
	}
	return end
}
