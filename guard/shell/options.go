package shell

import "strings"

// options are what stands behind a command's name.
type options struct {
	values   map[string][]string // by the first of an option's names; "" for one without an argument
	operands []string
	loose    bool // there are words that could not be expanded and may be options
}

func (o options) has(name string) bool { return len(o.values[name]) > 0 }

// last is the argument that counts, as options are mostly understood.
func (o options) last(name string) (string, bool) {
	v := o.values[name]
	if len(v) == 0 {
		return "", false
	}
	return v[len(v)-1], true
}

// optionNames says how a program's options are called: "u|uid: r|system" is -u N, --uid=N, --uid N, -r, --system.
type optionNames struct {
	first map[string]string // by any name
	takes map[string]bool   // an argument, by the first name
}

func namesOf(spec string) optionNames {
	n := optionNames{map[string]string{}, map[string]bool{}}
	for one := range strings.FieldsSeq(spec) {
		one, takes := strings.CutSuffix(one, ":")
		first, _, _ := strings.Cut(one, "|")
		n.takes[first] = takes
		for name := range strings.SplitSeq(one, "|") {
			n.first[name] = first
		}
	}
	return n
}

// long finds an option by its name or the beginning of only one.
func (n optionNames) long(name string) string {
	if first, ok := n.first[name]; ok {
		return first
	}
	found := ""
	for full, first := range n.first {
		if len(full) > 1 && strings.HasPrefix(full, name) {
			if found != "" && found != first {
				return name
			}
			found = first
		}
	}
	if found == "" {
		return name
	}
	return found
}

// parseOptions reads words as getopt_long does; untilOperand, as programs do that start another one.
func parseOptions(spec string, words []string, untilOperand bool) options {
	n := namesOf(spec)
	o := options{values: map[string][]string{}}
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
	name = n.long(name)
	if !given && n.takes[name] && len(rest) > 0 {
		value, rest = rest[0], rest[1:]
	}
	o.values[name] = append(o.values[name], value)
	return rest
}

func (o *options) addShort(n optionNames, cluster string, rest []string) []string {
	for i := 0; i < len(cluster); i++ {
		letter := cluster[i : i+1]
		name, ok := n.first[letter]
		if !ok {
			name = letter
		}
		if !n.takes[name] {
			o.values[name] = append(o.values[name], "")
			continue
		}
		value := cluster[i+1:]
		if value == "" && len(rest) > 0 {
			value, rest = rest[0], rest[1:]
		}
		o.values[name] = append(o.values[name], value)
		break
	}
	return rest
}
