package dockerfile

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/shell"
)

// Options are what a build is given besides the Dockerfile.
type Options struct {
	Args     map[string]string // --build-arg
	Target   string            // the stage that is built, for TARGETSTAGE; empty: the last
	Platform string            // "linux/arm64"; empty: linux on this machine's architecture
}

// Scope is what variables are worth at a place in a Dockerfile. It moves on as ARG and ENV are given to
// [Scope.Apply]. Scopes of one file are not safe for use by several goroutines.
type Scope struct {
	build  *build
	parent *Scope // the stage that this one is built from; nil: none
	values map[string]variable
}

// build is what all scopes of a file share.
type build struct {
	file       *File
	args       map[string]string
	predefined func(name string) (string, bool)
	global     *Scope
	lex        *shell.Lex // made when it is needed
	longest    int        // bytes of the longest value
	held       int        // bytes of all values that were ever set
}

// Bounds of what variables may grow to, for files that mean to be expanded without end.
const (
	maxExpansion = 16 << 20 // bytes
	maxHeld      = 64 << 20 // bytes
)

// errTooLong says that a file is not worth following.
var errTooLong = errors.New("variables grow beyond all measure")

// variable is what ARG, ENV or a base image make of a name.
type variable struct {
	value string
	set   bool // ARG without a value declares only
	empty []string
}

// Expansion is a word after its variables were replaced and its quotes removed.
type Expansion struct {
	Value string
	// Unset are the variables of the word that have no value, and those that variables of the word were made of.
	Unset []string
	// Empty are those of Unset that left a gap: the word names no default for them.
	Empty []string
	// Through are those of Empty that do not stand in the word: its variables were made of them, perhaps before
	// the first FROM.
	Through []string
}

// Scope is what variables are worth before the first FROM, once the ARGs there have been seen. The error is a
// [*SyntaxError].
func (f *File) Scope(o Options) (*Scope, error) {
	b := &build{file: f, args: o.Args, predefined: predefined(f, o)}
	b.global = &Scope{build: b}
	for i := range f.Global {
		if err := b.global.Apply(&f.Global[i]); err != nil {
			return nil, err
		}
	}
	return b.global, nil
}

// Stage is the scope of a stage at its beginning: that of the stage it is built from goes on, ARGs included, as
// BuildKit has it. base is nil where the stage is built from an image or from scratch.
func (s *Scope) Stage(base *Scope) *Scope { return &Scope{build: s.build, parent: base} }

// Set gives a variable a value, as a base image's Env does.
func (s *Scope) Set(name, value string) { s.put(name, variable{value: value, set: true}) }

func (s *Scope) put(name string, v variable) {
	s.build.longest = max(s.build.longest, len(v.value))
	s.build.held += len(v.value)
	if s.values == nil {
		s.values = map[string]variable{}
	}
	s.values[name] = v
}

// Get is the value of a variable.
func (s *Scope) Get(name string) (value string, set bool) {
	v, set := s.lookup(name)
	return v.value, set
}

// lookup finds the value, passing over declarations.
func (s *Scope) lookup(name string) (variable, bool) {
	for at := s; at != nil; at = at.parent {
		if v, found := at.values[name]; found && v.set {
			return v, true
		}
	}
	if s == s.build.global {
		value, found := s.build.predefined(name)
		return variable{value: value, set: found}, found
	}
	return variable{}, false
}

// Declared reports whether an ARG of the stage, or of those it is built from, names the variable: --build-arg can
// then set it.
func (s *Scope) Declared(name string) bool {
	for at := s; at != nil; at = at.parent {
		if _, found := at.values[name]; found {
			return true
		}
	}
	return false
}

// Apply does what ENV or ARG says; other instructions change nothing. The error is a [*SyntaxError].
func (s *Scope) Apply(in *Instruction) error {
	switch in.Keyword {
	case "ENV":
		return s.applyEnv(in)
	case "ARG":
		for _, p := range in.Pairs {
			if err := s.applyArg(p); err != nil {
				return in.fault(err)
			}
		}
	}
	return nil
}

func (in *Instruction) fault(err error) error {
	return &SyntaxError{Line: in.Range.Start.Line, Text: err.Error()}
}

// applyEnv expands all names and values before it sets the first.
func (s *Scope) applyEnv(in *Instruction) error {
	made := make([]variable, len(in.Pairs))
	names := make([]string, len(in.Pairs))
	for i, p := range in.Pairs {
		name, err := s.Expand(p.Name)
		if err != nil {
			return in.fault(err)
		}
		value, err := s.Expand(p.Value)
		if err != nil {
			return in.fault(err)
		}
		names[i], made[i] = name.Value, variable{value.Value, true, value.Empty}
	}
	for i, v := range made {
		s.put(names[i], v)
	}
	return nil
}

func (s *Scope) applyArg(p Pair) error {
	v, set := s.argument(p)
	if !set && p.Set {
		e, err := s.Expand(p.Value)
		if err != nil {
			return err
		}
		v, set = variable{e.Value, true, e.Empty}, true
	}
	switch {
	case set:
		s.put(p.Name, v)
	case !s.Declared(p.Name):
		s.put(p.Name, variable{})
	}
	return nil
}

// argument is what an ARG is set to from outside: by --build-arg, or in a stage by the ARG before the first FROM.
func (s *Scope) argument(p Pair) (variable, bool) {
	if value, found := s.build.args[p.Name]; found {
		return variable{value: value, set: true}, true
	}
	if p.Set || s == s.build.global {
		return variable{}, false
	}
	return s.build.global.lookup(p.Name)
}

// Expand replaces the variables of a word and removes its quotes. An expression that demands a variable that is
// not set, such as ${X:?}, leaves a gap as ${X} does. Other errors are BuildKit's.
func (s *Scope) Expand(word string) (Expansion, error) {
	if plain, ok := s.unquote(word); ok {
		return Expansion{Value: plain}, nil
	}
	lex := s.build.lexer()
	return s.expand(lex, word)
}

// ExpandHeredoc replaces the variables of a heredoc's body, for COPY and ADD.
func (s *Scope) ExpandHeredoc(body string) (Expansion, error) {
	if !strings.ContainsAny(body, `$\`) {
		return Expansion{Value: body}, nil
	}
	lex := shell.NewLex('\\') // whatever the escape character is
	lex.SkipProcessQuotes = true
	return s.expand(lex, body)
}

func (s *Scope) expand(lex *shell.Lex, word string) (Expansion, error) {
	if s.build.growth(word) > maxExpansion || s.build.held > maxHeld {
		return Expansion{}, errTooLong
	}
	result, err := lex.ProcessWordWithMatches(word, getter{s})
	e := Expansion{Value: result.Result}
	for name := range result.Unmatched {
		e.Unset = append(e.Unset, name)
		if leavesGap(word, name) {
			e.Empty = append(e.Empty, name)
		}
	}
	for name := range result.Matched {
		v, _ := s.lookup(name)
		e.Unset = append(e.Unset, v.empty...)
		e.Empty = append(e.Empty, v.empty...)
		e.Through = append(e.Through, v.empty...)
	}
	e.Unset, e.Empty, e.Through = unique(e.Unset), unique(e.Empty), unique(e.Through)
	if err != nil && slices.ContainsFunc(e.Empty, func(name string) bool { return demands(word, name) }) {
		return Expansion{Unset: e.Unset, Empty: e.Empty, Through: e.Through}, nil
	}
	if err != nil {
		return Expansion{}, err
	}
	return e, nil
}

// Words replaces the variables of a word and divides the result at blanks, as EXPOSE does.
func (s *Scope) Words(word string) ([]string, error) {
	if plain, ok := s.unquote(word); ok && plain == word {
		return strings.Fields(word), nil
	}
	if s.build.growth(word) > maxExpansion {
		return nil, errTooLong
	}
	lex := s.build.lexer()
	return lex.ProcessWords(word, getter{s})
}

// growth is how many bytes a word can expand to: linear in the values, but for ${X//a/b}, which puts a part of the
// word behind every byte of a value.
func (b *build) growth(word string) int {
	size := len(word) + strings.Count(word, "$")*b.longest
	grown := size
	for range replacements(word) {
		if grown > maxExpansion {
			break
		}
		grown *= size
	}
	return grown
}

// replacements counts the uses of ${X/a/b}.
func replacements(word string) int {
	count := 0
	for {
		_, after, found := strings.Cut(word, "${")
		if !found {
			return count
		}
		word = after
		name := slices.IndexFunc([]byte(after), func(c byte) bool { return !isNameByte(c) })
		if name >= 0 && after[name] == '/' {
			count++
		}
	}
}

func (b *build) lexer() *shell.Lex {
	if b.lex == nil {
		b.lex = shell.NewLex(rune(b.file.Escape))
	}
	return b.lex
}

// unquote is the answer for words without variables and with simple quotes: most of them.
func (s *Scope) unquote(word string) (string, bool) {
	if !strings.ContainsAny(word, "$'\"\\`") {
		return word, true
	}
	if n := len(word); n >= 2 && (word[0] == '"' || word[0] == '\'') && word[n-1] == word[0] {
		inner := word[1 : n-1]
		return inner, !strings.ContainsAny(inner, "$'\"\\`")
	}
	return "", false
}

func unique(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}

// getter is what BuildKit's lexer asks.
type getter struct{ scope *Scope }

func (g getter) Get(name string) (string, bool) { return g.scope.Get(name) }

// Keys are the names that are set; the lexer does not ask for them.
func (g getter) Keys() []string { return slices.Sorted(maps.Keys(g.scope.values)) }

// leavesGap reports whether the word uses the variable without a word of its own for where it is not set.
func leavesGap(word, name string) bool {
	for _, operator := range operators(word, name) {
		if operator != '-' && operator != '+' {
			return true
		}
	}
	return false
}

func demands(word, name string) bool { return slices.Contains(operators(word, name), '?') }

// operators are what stands behind the variable in each of its uses in the word: '}' in ${X}, '-' in ${X:-d} and
// ${X-d}, 0 in $X.
func operators(word, name string) []byte {
	var found []byte
	for {
		_, after, ok := strings.Cut(word, "$")
		if !ok {
			return found
		}
		word = after
		inner, braced := strings.CutPrefix(after, "{")
		behind, ok := strings.CutPrefix(inner, name)
		switch {
		case !ok:
		case !braced:
			found = append(found, 0)
		default:
			behind = strings.TrimPrefix(behind, ":")
			if behind != "" && !isNameByte(behind[0]) {
				found = append(found, behind[0])
			}
		}
	}
}

func isNameByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}
