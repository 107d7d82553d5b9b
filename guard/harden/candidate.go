package harden

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/deckhand-engine/deckhand/guard/profile"
	"github.com/deckhand-engine/deckhand/guard/repair"
)

// candidate is a way to run the service: the repairs, and the system calls it may make.
type candidate struct {
	repairs  []repair.Repair
	syscalls []string // sorted; nil: the default filter
}

// same reports whether two repairs do the same thing, whatever for.
func same(a, b repair.Repair) bool {
	return a.Kind == b.Kind && a.Path == b.Path && a.Value == b.Value && a.Old == b.Old &&
		a.Recursive == b.Recursive && a.Mode == b.Mode && slices.Equal(a.Argv, b.Argv)
}

// has reports whether the candidate has a repair that does the same, or more.
func (c candidate) has(r repair.Repair) bool {
	return slices.ContainsFunc(c.repairs, func(have repair.Repair) bool {
		return same(have, r) || replaces(r, have) && have.Recursive && !r.Recursive && have.Kind == r.Kind
	})
}

// with adds repairs that are not there yet. One takes the place of another that would contradict it.
func (c candidate) with(more ...repair.Repair) candidate {
	out := c.only(slices.Clone(c.repairs))
	for _, r := range more {
		if out.has(r) {
			continue
		}
		if i := slices.IndexFunc(out.repairs, func(have repair.Repair) bool { return replaces(r, have) }); i >= 0 {
			out.repairs[i] = r
			continue
		}
		out.repairs = append(slices.DeleteFunc(out.repairs, func(have repair.Repair) bool {
			return r.Kind == repair.Volume && have.Kind == r.Kind && isWithin(have.Path, r.Path) // nothing moves out of a mount
		}), r)
	}
	return out
}

// only is the candidate with other repairs.
func (c candidate) only(repairs []repair.Repair) candidate {
	return candidate{repairs: repairs, syscalls: c.syscalls}
}

// needs reports whether the candidate has a repair of the kind.
func (c candidate) needs(kind repair.Kind) bool {
	return slices.ContainsFunc(c.repairs, func(r repair.Repair) bool { return r.Kind == kind })
}

// variable is what the candidate sets an environment variable to.
func (c candidate) variable(name string) string {
	for _, r := range c.repairs {
		if v, ok := strings.CutPrefix(r.Value, name+"="); ok && r.Kind == repair.Environ {
			return v
		}
	}
	return ""
}

// replaces reports whether a takes b's place.
func replaces(a, b repair.Repair) bool {
	switch {
	case isMount(a) && isMount(b), a.Kind == repair.Chown && b.Kind == repair.Chown:
		return a.Path == b.Path
	case a.Kind == b.Kind:
		return a.Kind == repair.Entrypoint || a.Kind == repair.Port
	}
	return false
}

// isMount reports whether a repair makes a place writable.
func isMount(r repair.Repair) bool { return r.Kind == repair.Tmpfs || r.Kind == repair.Volume }

// mountOf is the writable place that a path is in.
func (c candidate) mountOf(p string) (repair.Repair, bool) {
	var best repair.Repair
	for _, r := range c.repairs {
		if isMount(r) && isWithin(p, r.Path) && len(r.Path) > len(best.Path) {
			best = r
		}
	}
	return best, best.Path != ""
}

// placeAt is the writable place at a path.
func (c candidate) placeAt(p string) (repair.Repair, bool) {
	r, ok := c.mountOf(p)
	return r, ok && r.Path == p
}

// isWithin reports whether a path is a directory or below it.
func isWithin(p, dir string) bool {
	return p == dir || strings.HasPrefix(p, strings.TrimSuffix(dir, "/")+"/")
}

// user is the user of the candidate.
func (c candidate) user(o *Options) string {
	if c.needs(repair.Root) {
		return "0:0"
	}
	return o.user()
}

// profile is what the candidate is run with.
func (s *session) profile(c candidate) *profile.Profile {
	p := &profile.Profile{Version: profile.Version, User: c.user(s.o), Capabilities: []string{}}
	for _, r := range c.repairs {
		switch r.Kind {
		case repair.Tmpfs:
			p.Tmpfs = append(p.Tmpfs, profile.Tmpfs{Path: r.Path, Mode: r.Mode})
		case repair.Volume:
			name := volumeName(s.o.Name, r.Path)
			p.Volumes = append(p.Volumes, profile.Volume{Path: r.Path, Name: name, Content: s.files.full[r.Path]})
		case repair.Port:
			name, value, _ := strings.Cut(r.Value, "=")
			p.Sysctls = map[string]string{name: value}
		case repair.Capability:
			p.Capabilities = append(p.Capabilities, r.Value)
		case repair.ReadWrite:
			p.ReadWrite = true
		default: // it is in the image
		}
	}
	slices.Sort(p.Capabilities)
	slices.SortFunc(p.Tmpfs, func(a, b profile.Tmpfs) int { return strings.Compare(a.Path, b.Path) })
	slices.SortFunc(p.Volumes, func(a, b profile.Volume) int { return strings.Compare(a.Path, b.Path) })
	taken := profile.Names{}
	for i := range p.Volumes {
		p.Volumes[i].Name = taken.Take(p.Volumes[i].Name)
	}
	return p
}

// volumeName proposes a name for a volume.
func volumeName(name, dir string) string {
	last := path.Base(dir)
	if last == name || last == "/" {
		last = "data"
	}
	full := plainName(name + "-" + last)
	return full[:min(len(full), profile.MaxName)]
}

// plainName keeps what a name of volumes and users may consist of.
func plainName(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '-'
	}, strings.ToLower(name))
}

// dockerfile is the candidate's Dockerfile.
func (s *session) dockerfile(c candidate, comments bool) ([]byte, error) {
	o := s.edit
	o.User, o.Comments = c.user(s.o), comments
	return repair.Dockerfile(s.o.Dockerfile, o, ordered(c.repairs))
}

// ordered sorts repairs so that the same ones make the same text, whatever order they were found in.
func ordered(repairs []repair.Repair) []repair.Repair {
	out := slices.Clone(repairs)
	slices.SortStableFunc(out, func(a, b repair.Repair) int {
		if n := strings.Compare(string(a.Kind), string(b.Kind)); n != 0 {
			return n
		}
		if n := strings.Compare(a.Path, b.Path); n != 0 {
			return n
		}
		return strings.Compare(a.Old+a.Value, b.Old+b.Value)
	})
	return out
}

// digestOf names what it is given.
func digestOf(parts ...any) (string, error) {
	b, err := json.Marshal(parts)
	if err != nil {
		return "", fmt.Errorf("name a trial: %w", err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}
