package policy

import (
	"errors"
	"path"
	"strings"
)

// pattern is a path pattern: segments of [path.Match], and ** for any number of segments. What matches a directory
// matches everything below it.
type pattern []string

// parsePattern reads a pattern. The errors say what to write instead.
func parsePattern(s string) (pattern, error) {
	switch {
	case s == "":
		return nil, errors.New("an empty pattern matches nothing: write a path, as in \"legacy/**\"")
	case s[0] == '!':
		return nil, errors.New("patterns cannot be taken back with !: list what is meant")
	case s[0] == '/':
		return nil, errors.New("patterns are relative to the policy file: write it without the leading /")
	}
	g := pattern(strings.Split(strings.TrimSuffix(strings.TrimPrefix(s, "./"), "/"), "/"))
	for _, segment := range g {
		if _, err := path.Match(segment, ""); err != nil {
			return nil, errors.New("in " + segment + " a bracket is not closed: write \\[ for the character itself")
		}
	}
	return g, nil
}

// match reports whether the pattern matches a slash-separated path or a directory above it. It goes back to the last
// ** only, which is enough, so that the time is bounded by the product of the lengths.
func (g pattern) match(name string) bool {
	names := strings.Split(name, "/")
	star, resume := -1, 0
	i, n := 0, 0
	for n < len(names) {
		switch {
		case i == len(g):
			return true
		case g[i] == "**":
			star, resume = i, n
			i++
		case matchSegment(g[i], names[n]):
			i++
			n++
		case star >= 0:
			resume++
			i, n = star+1, resume
		default:
			return false
		}
	}
	for i < len(g) && g[i] == "**" {
		i++
	}
	return i == len(g)
}

func matchSegment(g, name string) bool {
	ok, err := path.Match(g, name)
	return err == nil && ok
}

// wildcard reports whether a name is s, where * stands for any text.
func wildcard(s, name string) bool {
	parts := strings.Split(s, "*")
	if len(parts) == 1 {
		return s == name
	}
	rest, ok := strings.CutPrefix(name, parts[0])
	if !ok {
		return false
	}
	last := len(parts) - 1
	for _, part := range parts[1:last] {
		i := strings.Index(rest, part)
		if i < 0 {
			return false
		}
		rest = rest[i+len(part):]
	}
	return strings.HasSuffix(rest, parts[last])
}
