// Package dockerfile reads Dockerfiles: BuildKit's parser makes stages and instructions of them, and this package
// says to the byte where in the source each of them and each of their arguments stands, so that a text can be
// edited without touching the rest of it. A [Scope] expands variables as BuildKit does.
//
// It accepts what `docker build` accepts and nothing else, builds nothing, and opens no file.
package dockerfile

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// File is a Dockerfile that was read.
type File struct {
	Source []byte        // as it was given; not to be changed
	Escape byte          // the escape character: '\\' or '`'
	Global []Instruction // the ARGs before the first FROM
	Stages []Stage       // at least one
}

// StageNamed is the index of the last stage of the name, in any case of letters, among those before an index; -1:
// there is none.
func (f *File) StageNamed(name string, before int) int {
	name = strings.ToLower(name)
	for i := before - 1; i >= 0 && name != ""; i-- {
		if f.Stages[i].Name == name {
			return i
		}
	}
	return -1
}

// Stage is one FROM and what follows it.
type Stage struct {
	Index        int
	Name         string // in lower case; empty: none
	Base         string // as written, variables not expanded
	Platform     string // --platform as written; empty: not given
	From         *Instruction
	Instructions []Instruction // without FROM
}

// Instruction is one instruction.
type Instruction struct {
	Keyword string // in upper case: "RUN"
	// Text is the instruction in one line, with its keyword: lines that are continued are joined, comments
	// between them left out. Heredocs are not in it.
	Text string
	// Args are the arguments behind the flags, neither unquoted nor expanded: the words of FROM, EXPOSE, COPY,
	// ADD and VOLUME; the elements of a JSON form; the rest of the line of the others, as one argument. In
	// HEALTHCHECK, NONE or CMD comes first. ENV, LABEL and ARG have Pairs instead, ONBUILD a Trigger.
	Args     []string
	JSON     bool     // Args are the elements of a JSON array
	Pairs    []Pair   // of ENV, LABEL and ARG
	Flags    []string // unquoted: "--chown=app", "--link"
	Heredocs []Heredoc
	Trigger  *Instruction // what ONBUILD puts off
	Range    Range        // from the keyword to the end of the last line, heredocs included

	offset    int   // of the first line
	firstLine int   // its number
	base      int   // where Text begins in the joined line, of a trigger
	invalid   error // of a trigger: why it cannot be run
}

// Pair is one NAME=VALUE, neither unquoted nor expanded.
type Pair struct {
	Name, Value string
	Set         bool // a value is given; ARG can do without
}

// Heredoc is a here-document of RUN, COPY or ADD.
type Heredoc struct {
	Name    string // the word that ends it, unquoted
	Content string // its lines as they stand in the source
	Expand  bool   // the word is not quoted: COPY and ADD expand variables in Content
	Chomp   bool   // <<-: leading tabs do not count
}

// Body is the content as the file or script gets it, before variables are expanded.
func (h *Heredoc) Body() string {
	if !h.Chomp {
		return h.Content
	}
	return parser.ChompHeredocContent(h.Content)
}

// Parse reads a Dockerfile. The error is a [*SyntaxError].
func Parse(source []byte) (*File, error) {
	result, err := parser.Parse(bytes.NewReader(readable(source)))
	if err != nil {
		return nil, syntaxError(source, err)
	}
	f := newFile(source, result)
	instructions, err := f.convert(result.AST.Children)
	if err != nil {
		return nil, err
	}
	return f, f.split(instructions)
}

func newFile(source []byte, result *parser.Result) *File {
	f := &File{Source: source, Escape: parser.DefaultEscapeToken}
	if result.EscapeToken == '`' {
		f.Escape = '`'
	}
	return f
}

// ParseTrigger reads one instruction by itself, as an image's configuration has it in OnBuild. The ranges of the
// instruction belong to the text, which is the source of the file that is returned with it.
func ParseTrigger(text string) (*File, *Instruction, error) {
	source := []byte(text)
	result, err := parser.Parse(bytes.NewReader(readable(source)))
	if err != nil {
		return nil, nil, syntaxError(source, err)
	}
	f := newFile(source, result)
	instructions, err := f.convert(result.AST.Children)
	if err != nil {
		return nil, nil, err
	}
	if len(instructions) != 1 || instructions[0].Keyword == "FROM" {
		return nil, nil, &SyntaxError{Line: 1, Text: "onbuild trigger should be a single expression"}
	}
	return f, &instructions[0], nil
}

// readable is the source without bytes that BuildKit's lexer complains about on standard error: what is not UTF-8,
// and NUL. They become question marks, so that every place stays where it is.
func readable(source []byte) []byte {
	if utf8.Valid(source) && bytes.IndexByte(source, 0) < 0 {
		return source
	}
	text := bytes.Clone(source)
	for i := 0; i < len(text); {
		r, width := utf8.DecodeRune(text[i:])
		if r == 0 || r == utf8.RuneError && width == 1 {
			text[i] = '?'
		}
		i += width
	}
	return text
}

// convert makes instructions of BuildKit's nodes and checks them.
func (f *File) convert(nodes []*parser.Node) ([]Instruction, error) {
	made := make([]Instruction, len(nodes))
	words := make([]string, 0, countWords(nodes))
	cursor := lineCursor{source: f.Source, line: 1}
	for i, node := range nodes {
		in := &made[i]
		words = in.fill(node, words)
		in.offset, in.firstLine = cursor.start(node.StartLine), node.StartLine
		in.Range.Start = f.keywordPosition(in)
		in.Range.End = cursor.end(node.EndLine)
		if err := check(node, in); err != nil {
			return nil, &SyntaxError{Line: in.Range.Start.Line, Text: err.Error()}
		}
		if in.Keyword == "ONBUILD" {
			f.addTrigger(in, node)
		}
	}
	return made, nil
}

// addTrigger gives ONBUILD its instruction. Whether that is valid matters only where it is triggered.
func (f *File) addTrigger(in *Instruction, node *parser.Node) {
	child := node.Next.Children[0]
	child.Heredocs = node.Heredocs
	t := &Instruction{Range: in.Range, offset: in.offset, firstLine: in.firstLine}
	t.fill(child, nil)
	t.base = f.layout(in).rest
	t.Range.Start = f.TextRange(t, 0, len(t.Text)).Start
	if t.invalid = check(child, t); t.invalid != nil {
		t.Args, t.Pairs = nil, nil // of what BuildKit does not know, it makes no arguments
	}
	in.Trigger = t
}

// Line is the instruction's first line: that of Range, or one before it that holds nothing but an escape character.
func (in *Instruction) Line() int { return in.firstLine }

// Err says why a trigger cannot be run; BuildKit finds out when it is.
func (in *Instruction) Err() error {
	if in.invalid == nil {
		return nil
	}
	return &SyntaxError{Line: in.Range.Start.Line, Text: in.invalid.Error()}
}

// fill takes what the node says; words is where arguments are kept.
func (in *Instruction) fill(node *parser.Node, words []string) []string {
	in.Keyword = strings.ToUpper(node.Value)
	in.Text = node.Original
	in.Flags = node.Flags
	in.JSON = node.Attributes["json"]
	for _, h := range node.Heredocs {
		in.Heredocs = append(in.Heredocs, Heredoc{Name: h.Name, Content: h.Content, Expand: h.Expand, Chomp: h.Chomp})
	}
	switch in.Keyword {
	case "ONBUILD":
	case "ENV", "LABEL":
		in.Pairs = assignments(node.Next)
	case "ARG":
		in.Pairs = declarations(node.Next)
	default:
		first := len(words)
		for n := node.Next; n != nil; n = n.Next {
			words = append(words, n.Value)
		}
		in.Args = words[first:len(words):len(words)]
	}
	return words
}

// countWords is how many arguments the nodes have at most.
func countWords(nodes []*parser.Node) int {
	count := 0
	for _, node := range nodes {
		for n := node.Next; n != nil; n = n.Next {
			count++
		}
	}
	return count
}

// assignments are the pairs of ENV and LABEL: name, value and separator each.
func assignments(n *parser.Node) []Pair {
	var pairs []Pair
	for n != nil && n.Next != nil && n.Next.Next != nil {
		pairs = append(pairs, Pair{Name: n.Value, Value: n.Next.Value, Set: true})
		n = n.Next.Next.Next
	}
	return pairs
}

func declarations(n *parser.Node) []Pair {
	var pairs []Pair
	for ; n != nil; n = n.Next {
		name, value, set := strings.Cut(n.Value, "=")
		pairs = append(pairs, Pair{Name: name, Value: value, Set: set})
	}
	return pairs
}

// split divides the instructions into stages.
func (f *File) split(all []Instruction) error {
	first := 0
	for first < len(all) && all[first].Keyword == "ARG" {
		first++
	}
	f.Global = all[:first:first]
	for i := first; i < len(all); i++ {
		in := &all[i]
		if in.Keyword == "FROM" {
			f.Stages = append(f.Stages, newStage(len(f.Stages), in))
			continue
		}
		if len(f.Stages) == 0 {
			return &SyntaxError{Line: in.Range.Start.Line, Text: "no build stage in current context: " + in.Keyword + " before FROM"}
		}
		stage := &f.Stages[len(f.Stages)-1]
		from := i - len(stage.Instructions)
		stage.Instructions = all[from : i+1 : i+1]
	}
	if len(f.Stages) == 0 {
		return &SyntaxError{Line: all[len(all)-1].Range.Start.Line, Text: "dockerfile contains no stages to build"}
	}
	return nil
}

func newStage(index int, from *Instruction) Stage {
	s := Stage{Index: index, Base: from.Args[0], From: from}
	if len(from.Args) == 3 {
		s.Name = strings.ToLower(from.Args[2])
	}
	s.Platform, _ = from.Flag("platform")
	return s
}

// Flag is the value of a flag such as "chown"; of one without a value it is empty. The last one counts.
func (in *Instruction) Flag(name string) (value string, found bool) {
	for _, flag := range in.Flags {
		key, v, _ := strings.Cut(strings.TrimPrefix(flag, "--"), "=")
		if key == name {
			value, found = v, true
		}
	}
	return value, found
}

// Heredoc is the here-document that an argument of COPY, ADD or RUN stands for; nil: it stands for none.
func (in *Instruction) Heredoc(arg string) *Heredoc {
	if len(in.Heredocs) == 0 || !strings.Contains(arg, "<<") {
		return nil
	}
	word := parser.MustParseHeredoc(arg)
	if word == nil {
		return nil
	}
	for i := len(in.Heredocs) - 1; i >= 0; i-- { // of two with one name, the last counts, as in BuildKit
		if in.Heredocs[i].Name == word.Name {
			return &in.Heredocs[i]
		}
	}
	return nil
}
