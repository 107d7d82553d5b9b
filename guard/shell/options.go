package shell

import (
	"slices"
	"strings"
)

// options are what stands behind a command's name.
type options struct {
	given    []option // in order
	operands []string
	loose    bool // there are words that could not be expanded and may be options
}

// option is one that was given, by the first of its names; value is "" where it takes none.
type option struct{ name, value string }

func (o options) has(name string) bool {
	_, ok := o.last(name)
	return ok
}

// last is the argument that counts, as options are mostly understood.
func (o options) last(name string) (string, bool) {
	for _, given := range slices.Backward(o.given) {
		if given.name == name {
			return given.value, true
		}
	}
	return "", false
}

// optionNames says how a program's options are called: "u|uid: r|system" is -u N, --uid=N, --uid N, -r, --system.
type optionNames string

// each calls visit for every name until it returns false.
func (n optionNames) each(visit func(name, first string, takes bool) bool) {
	for spec := range strings.FieldsSeq(string(n)) {
		spec, takes := strings.CutSuffix(spec, ":")
		first, _, _ := strings.Cut(spec, "|")
		for name, rest, more := strings.Cut(spec, "|"); ; name, rest, more = strings.Cut(rest, "|") {
			if !visit(name, first, takes) {
				return
			}
			if !more {
				break
			}
		}
	}
}

// find is the first name of an option, and whether it takes an argument. One that nobody knows takes none.
func (n optionNames) find(name string) (first string, takes bool) {
	first = name
	n.each(func(other, f string, t bool) bool {
		if other == name {
			first, takes = f, t
		}
		return other != name
	})
	return first, takes
}

// long finds an option by its name or the beginning of only one.
func (n optionNames) long(name string) (first string, takes bool) {
	found, several, exact := "", false, false
	n.each(func(other, f string, t bool) bool {
		switch {
		case other == name:
			found, takes, exact = f, t, true
		case len(other) > 1 && strings.HasPrefix(other, name):
			several = several || found != "" && found != f
			found, takes = f, t
		}
		return !exact
	})
	if !exact && (found == "" || several) {
		return name, false
	}
	return found, takes
}

// parseOptions reads words as getopt_long does; untilOperand, as programs do that start another one.
func parseOptions(spec string, words []string, untilOperand bool) options {
	n, o := optionNames(spec), options{}
	for len(words) > 0 {
		w := words[0]
		words = words[1:]
		switch {
		case w == "--":
			o.operands = append(o.operands, words...)
			return o
		case strings.HasPrefix(w, "--"):
			words = o.addLong(n, w[2:], words)
		case len(w) > 1 && w[0] == '-':
			words = o.addShort(n, w[1:], words)
		case untilOperand:
			o.loose = o.loose || loose(w)
			o.operands = append([]string{w}, words...)
			return o
		default:
			o.loose = o.loose || loose(w)
			o.operands = append(o.operands, w)
		}
	}
	return o
}

func (o *options) addLong(n optionNames, text string, rest []string) []string {
	name, value, given := strings.Cut(text, "=")
	first, takes := n.long(name)
	if !given && takes && len(rest) > 0 {
		value, rest = rest[0], rest[1:]
	}
	o.given = append(o.given, option{first, value})
	return rest
}

func (o *options) addShort(n optionNames, cluster string, rest []string) []string {
	for i := range len(cluster) {
		name, takes := n.find(cluster[i : i+1])
		if !takes {
			o.given = append(o.given, option{name, ""})
			continue
		}
		value := cluster[i+1:]
		if value == "" && len(rest) > 0 {
			value, rest = rest[0], rest[1:]
		}
		o.given = append(o.given, option{name, value})
		break
	}
	return rest
}
