package ref

import (
	"strings"

	"github.com/opencontainers/go-digest"
)

// maxRepository is the longest repository path, in bytes.
const maxRepository = 255

// maxTag is the longest tag, in bytes.
const maxTag = 128

// InvalidError says why a reference is not one, in docker's words.
type InvalidError struct {
	Input string // what was given
	msg   string
}

// Error implements error.
func (e *InvalidError) Error() string { return e.msg }

func invalid(input, msg string) error { return &InvalidError{Input: input, msg: msg} }

// splitRegistry tells the registry from the rest: the part before the first slash is a registry if it has
// a dot, a colon or an upper-case letter, or is "localhost".
func splitRegistry(s string) (registry, rest string) {
	first, after, ok := strings.Cut(s, "/")
	if !ok {
		return defaultRegistry, officialPrefix + s
	}
	switch {
	case first == legacyRegistry:
		registry, rest = defaultRegistry, after
	case first == "localhost", strings.ContainsAny(first, ".:"), strings.ToLower(first) != first:
		registry, rest = first, after
	default:
		registry, rest = defaultRegistry, s
	}
	if registry == defaultRegistry && !strings.Contains(rest, "/") {
		rest = officialPrefix + rest
	}
	return registry, rest
}

// parseRest checks the registry and takes the rest apart: repository[:tag][@digest].
func parseRest(registry, rest string) (Reference, error) {
	input := registry + "/" + rest
	r := Reference{Registry: registry}
	name, dgst, hasDigest := strings.Cut(rest, "@")
	name, tag, hasTag := strings.Cut(name, ":")
	r.Repository, r.Tag = name, tag
	switch {
	case !isHost(registry), !isPath(name), hasTag && !isTag(tag), hasDigest && !isDigest(dgst):
		return Reference{}, invalid(input, "invalid reference format")
	case len(name) > maxRepository:
		return Reference{}, invalid(input, "repository name must not be more than 255 characters")
	}
	if hasDigest {
		r.Digest = digest.Digest(dgst)
		if err := r.Digest.Validate(); err != nil {
			return Reference{}, invalid(input, err.Error())
		}
	}
	return r, nil
}

// isHost matches a domain name, an IPv4 address or a bracketed IPv6 address, with or without a port.
func isHost(s string) bool {
	if v6, ok := strings.CutPrefix(s, "["); ok {
		addr, rest, ok := strings.Cut(v6, "]")
		return ok && addr != "" && strings.Trim(addr, "0123456789abcdefABCDEF:") == "" && isOptionalPort(rest)
	}
	name := s
	if i := strings.IndexByte(s, ':'); i >= 0 {
		if !isOptionalPort(s[i:]) {
			return false
		}
		name = s[:i]
	}
	for label := range strings.SplitSeq(name, ".") {
		if !isLabel(label) {
			return false
		}
	}
	return true
}

// isOptionalPort matches nothing or a colon and digits.
func isOptionalPort(s string) bool {
	if s == "" {
		return true
	}
	return len(s) > 1 && s[0] == ':' && strings.Trim(s[1:], "0123456789") == ""
}

// isLabel matches one part of a domain name: letters, digits and inner hyphens.
func isLabel(s string) bool {
	for _, c := range []byte(s) {
		if !isAlnum(c) && c != '-' {
			return false
		}
	}
	return s != "" && s[0] != '-' && s[len(s)-1] != '-'
}

// isPath matches lower-case components with slashes between them.
func isPath(s string) bool {
	for component := range strings.SplitSeq(s, "/") {
		if !isComponent(component) {
			return false
		}
	}
	return true
}

// isComponent matches letters and digits with a separator between them: one dot, one or two underscores,
// or any number of hyphens.
func isComponent(s string) bool {
	for start := 0; ; {
		end := start
		for end < len(s) && isLowerAlnum(s[end]) {
			end++
		}
		if end == start {
			return false
		}
		if end == len(s) {
			return true
		}
		n := separatorLen(s[end:])
		if n == 0 {
			return false
		}
		start = end + n
	}
}

func separatorLen(s string) int {
	switch {
	case s[0] == '.':
		return 1
	case strings.HasPrefix(s, "__"):
		return 2
	case s[0] == '_':
		return 1
	}
	return len(s) - len(strings.TrimLeft(s, "-"))
}

// isTag matches up to 128 word characters, dots and hyphens; the first is a word character.
func isTag(s string) bool {
	for _, c := range []byte(s) {
		if !isAlnum(c) && c != '_' && c != '.' && c != '-' {
			return false
		}
	}
	return s != "" && len(s) <= maxTag && s[0] != '.' && s[0] != '-'
}

// isDigest matches algorithm:hex with at least 32 digits. Whether the algorithm is known comes later.
func isDigest(s string) bool {
	algorithm, encoded, ok := strings.Cut(s, ":")
	if !ok || len(encoded) < 32 || strings.Trim(encoded, "0123456789abcdefABCDEF") != "" {
		return false
	}
	for part := range strings.FieldsFuncSeq(algorithm, isAlgorithmSeparator) {
		if isDigit(part[0]) || !allAlnum(part) {
			return false
		}
	}
	return wellSeparated(algorithm)
}

// wellSeparated reports whether separators in a digest's algorithm stand singly and inside.
func wellSeparated(algorithm string) bool {
	before := true
	for _, c := range algorithm {
		sep := isAlgorithmSeparator(c)
		if sep && before {
			return false
		}
		before = sep
	}
	return !before
}

func isAlgorithmSeparator(c rune) bool { return strings.ContainsRune("-_+.", c) }

func allAlnum(s string) bool {
	for _, c := range []byte(s) {
		if !isAlnum(c) {
			return false
		}
	}
	return true
}

func isDigit(c byte) bool      { return c >= '0' && c <= '9' }
func isLowerAlnum(c byte) bool { return isDigit(c) || c >= 'a' && c <= 'z' }
func isAlnum(c byte) bool      { return isLowerAlnum(c) || c >= 'A' && c <= 'Z' }
