package proof

import (
	"strconv"
	"strings"

	"github.com/deckhand-engine/deckhand/guard/profile"
	"github.com/deckhand-engine/deckhand/ref"
)

// label makes a DNS label of a text: small letters, digits, and dashes between them. It may be empty.
func label(text string) string {
	dashed := strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, text)
	words := strings.FieldsFunc(dashed, func(r rune) bool { return r == '-' })
	whole := strings.Join(words, "-")
	return strings.TrimRight(whole[:min(len(whole), profile.MaxName)], "-")
}

// name is what services and objects are called: a DNS label.
func (p *Proof) name() string {
	if name := label(p.Name); name != "" {
		return name
	}
	return "service"
}

// image is the reference that the files name.
func (p *Proof) image() string {
	if _, err := ref.Parse(p.Profile.Image); err == nil {
		return p.Profile.Image
	}
	return p.name() + ":hardened"
}

// volume is a directory that is kept, with the name that the files give it.
type volume struct {
	profile.Volume
	name string
}

// volumes are the profile's, each with a name of its own. Two of them never share one: they are different directories.
func (p *Proof) volumes() []volume {
	all, taken := make([]volume, len(p.Profile.Volumes)), profile.Names{}
	for i, v := range p.Profile.Volumes {
		want := v.Name
		if want == "" {
			want = p.directoryName(v.Path)
		}
		all[i] = volume{v, taken.Take(want)}
	}
	return all
}

// directoryName is a name for a volume at that path: "redis-var-lib-redis".
func (p *Proof) directoryName(path string) string {
	return label(p.name()[:min(len(p.name()), profile.MaxName/2)] + "-" + path)
}

// port is one that the service listens on.
type port struct {
	number   string
	protocol string // "tcp", "udp", "sctp"
}

// ports are the profile's, each once.
func (p *Proof) ports() []port {
	var all []port
	seen := map[port]bool{}
	for _, text := range p.Profile.Ports {
		number, protocol, _ := strings.Cut(text, "/")
		n, err := strconv.ParseUint(number, 10, 16)
		if next := (port{strconv.FormatUint(n, 10), protocol}); err == nil && !seen[next] {
			seen[next] = true
			all = append(all, next)
		}
	}
	return all
}

// published is the port as -p and compose take it. It is published on this machine alone: who is to reach it from
// elsewhere is for a person to decide.
func (t port) published() string {
	text := "127.0.0.1:" + t.number + ":" + t.number
	if t.protocol != "tcp" {
		text += "/" + t.protocol
	}
	return text
}

// sayable reports whether docker's short syntax, and Kubernetes, can name a path: they have no quotes for a colon.
func sayable(path string) bool { return !strings.Contains(path, ":") }

// plain is a text for a comment: one line, and nothing in it that cannot be seen.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if strconv.IsPrint(r) {
			return r
		}
		return '?'
	}, strings.ToValidUTF8(text, "?"))
}
