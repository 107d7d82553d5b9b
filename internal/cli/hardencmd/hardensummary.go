package hardencmd

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/deckhand-engine/deckhand/guard/observe"
	"github.com/deckhand-engine/deckhand/internal/ui"
)

// summary is what a person reads at the end.
type summary struct {
	*proven
	subject *subject
	dir     string // where files are; empty: nowhere
	changed bool   // so is the Dockerfile
	b       strings.Builder
}

// text is the summary.
func (s *summary) text() string {
	s.b.WriteString(s.verdict() + "\n\n")
	s.privileges()
	s.work()
	s.repairs()
	s.list("refused, and it works all the same", s.tolerated())
	s.list("irreducible", s.Profile.Irreducible)
	s.next()
	return s.b.String()
}

// verdict is the result in a line.
func (s *summary) verdict() string {
	if len(s.Profile.Irreducible) > 0 {
		return fmt.Sprintf("%s works with less, but not without privileges.", s.subject.source)
	}
	return fmt.Sprintf("%s works as %s, without any privilege.", s.subject.source, s.Profile.User)
}

// field writes a line of the summary's head. Nothing is said of an empty value.
func (s *summary) field(name, value string) {
	if value != "" {
		fmt.Fprintf(&s.b, "%-16s%s\n", name, ui.Clean(value))
	}
}

// privileges are what the service has.
func (s *summary) privileges() {
	p := &s.Profile
	user := p.User
	if s.Before != nil && s.Before.User != "" && s.Before.User != user {
		user += " (was " + s.Before.User + ")"
	}
	s.field("user", user)
	s.field("capabilities", orNone(p.Capabilities))
	root := "read-only"
	if p.ReadWrite {
		root = "writable"
	}
	s.field("root", root)
	s.field("writable", orNone(s.writable()))
	var sysctls []string
	for _, name := range slices.Sorted(maps.Keys(p.Sysctls)) {
		sysctls = append(sysctls, name+"="+p.Sysctls[name])
	}
	s.field("sysctls", strings.Join(sysctls, ", "))
	calls := "the default filter's"
	if len(s.Syscalls) > 0 {
		calls = fmt.Sprintf("%d allowed", len(s.Syscalls))
	}
	s.field("system calls", calls)
	s.field("probes allowed", s.probes())
}

func orNone(all []string) string {
	if len(all) == 0 {
		return "none"
	}
	return strings.Join(all, ", ")
}

// writable are the places that the service may write.
func (s *summary) writable() []string {
	var all []string
	for _, v := range s.Profile.Volumes {
		all = append(all, v.Path+" (volume)")
	}
	for _, t := range s.Profile.Tmpfs {
		all = append(all, t.Path+" (tmpfs)")
	}
	return all
}

// probes says what an attacker could do before and after.
func (s *summary) probes() string {
	if s.Before == nil || s.After == nil {
		return ""
	}
	before, after := s.Before.Tally(), s.After.Tally()
	return fmt.Sprintf("%d → %d of %d (high: %d → %d)", before.Allowed, after.Allowed, after.Probes, before.High, after.High)
}

// work is how it was found out.
func (s *summary) work() {
	check := []string{s.CheckFrom, s.Check, s.CheckHost}
	s.field("check", strings.Join(slices.DeleteFunc(check, func(c string) bool { return c == "" }), ": "))
	s.field("exercise", s.Exercise)
	trying := s.Times["total"] - s.Times["build"]
	trials := fmt.Sprintf("%d in %.1f s", len(s.Trials), trying)
	if trying > 0 {
		trials += fmt.Sprintf(", %.0f %% of it in the service and its checks", 100*s.Times["service"]/trying)
	}
	if s.recalled > 0 {
		trials += fmt.Sprintf("; %d of an earlier run", s.recalled)
	}
	s.field("trials", trials)
	s.field("builds", shortSeconds(time.Duration(s.Times["build"]*float64(time.Second))))
}

// repairs are what was changed.
func (s *summary) repairs() {
	width := 0
	for _, r := range s.Repairs {
		width = max(width, ui.Width(r.String()))
	}
	width = min(width, 48) // a longer one pushes its reason to the right
	var lines []string
	for _, r := range s.Repairs {
		what := r.String()
		lines = append(lines, what+strings.Repeat(" ", max(0, width-ui.Width(what)))+"  "+r.Why)
	}
	s.list("repairs", lines)
}

// list writes a heading and lines.
func (s *summary) list(heading string, lines []string) {
	if len(lines) == 0 {
		return
	}
	s.b.WriteString("\n" + heading + ":\n")
	for _, l := range lines {
		s.b.WriteString("  " + ui.Clean(l) + "\n")
	}
}

// maxTolerated is how many refusals are shown.
const maxTolerated = 12

// tolerated are the refusals that the service survives, those that only differ in the process once.
func (s *summary) tolerated() []string {
	var lines []string
	for _, c := range s.Tolerated {
		if line := refusal(&c); !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	if more := len(lines) - maxTolerated; more > 0 {
		lines = append(lines[:maxTolerated], fmt.Sprintf("… and %d more", more))
	}
	return lines
}

// refusal is a call that was refused, in a line.
func refusal(c *observe.Call) string {
	what := strings.TrimSpace(c.Syscall + " " + cmp.Or(c.Path, c.Address, c.Socket))
	return fmt.Sprintf("%s: %s, by %s", what, c.Errno.Error(), c.Process.Comm)
}

// next is where the files are, and what to type.
func (s *summary) next() {
	if s.dir == "" {
		var lines []string
		if !s.subject.isImage() {
			lines = append(lines, "change the Dockerfile:        deckhand harden --write "+s.subject.arg)
		}
		s.list("nothing was written", append(lines, "write it all somewhere else:  deckhand harden --output DIR "+s.subject.arg))
		return
	}
	var files []string
	if s.changed {
		files = append(files, s.subject.file+" has changed")
	}
	s.list("written", append(files, s.dir+" has the Dockerfile, the profile, manifests, and the proof to read (proof.md)"))
	s.list("run it", s.Commands(s.dir))
}
