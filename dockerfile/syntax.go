package dockerfile

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/command"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/util/suggest"
)

// SyntaxError is a Dockerfile that cannot be built because of what stands in a line.
type SyntaxError struct {
	Line int // from 1
	Text string
}

// Error is the text with its line.
func (e *SyntaxError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Text) }

// syntaxError gives an error of BuildKit's parser its line. The parser counts from 0 where a directive or the
// length of a line is at fault, and from 1 elsewhere.
func syntaxError(source []byte, err error) *SyntaxError {
	line := 0
	var located *parser.LocationError
	if errors.As(err, &located) && len(located.Locations) > 0 && len(located.Locations[0]) > 0 {
		line = located.Locations[0][0].Start.Line
	}
	lines := bytes.Split(source, []byte("\n"))
	tooLong := strings.HasPrefix(err.Error(), "dockerfile line greater than")
	if line == 0 || tooLong || line <= len(lines) && bytes.HasPrefix(bytes.TrimSpace(lines[line-1]), []byte("#")) {
		line++
	}
	if len(lines) > 1 && len(lines[len(lines)-1]) == 0 {
		lines = lines[:len(lines)-1]
	}
	return &SyntaxError{Line: min(line, len(lines)), Text: err.Error()}
}

// check is what BuildKit's package instructions checks. That package is slow, so it is asked only about what is
// not evidently right.
func check(node *parser.Node, in *Instruction) error {
	if _, known := command.Commands[strings.ToLower(in.Keyword)]; !known {
		return unknownInstruction(node.Value)
	}
	if flagsAreRight(in) && argumentsAreRight(node, in) {
		return nil
	}
	_, err := instructions.ParseInstruction(node)
	return err
}

func unknownInstruction(name string) error {
	text := "unknown instruction: " + name
	if match, ok := suggest.Search(name, slices.Sorted(maps.Keys(command.Commands)), false); ok {
		text += " (did you mean " + match + "?)"
	}
	return errors.New(text)
}

// flagsAreRight reports whether the flags are certainly valid.
func flagsAreRight(in *Instruction) bool {
	var allowed []string
	switch in.Keyword {
	case "COPY":
		allowed = []string{"--chown", "--from", "--chmod"}
	case "ADD":
		allowed = []string{"--chown", "--chmod"}
	case "FROM":
		allowed = []string{"--platform"}
	}
	for i, flag := range in.Flags {
		name, _, hasValue := strings.Cut(flag, "=")
		if !hasValue || !slices.Contains(allowed, name) {
			return false
		}
		for _, other := range in.Flags[:i] {
			if strings.HasPrefix(other, name) {
				return false // given twice
			}
		}
	}
	return true
}

// argumentsAreRight reports whether the arguments are certainly valid.
func argumentsAreRight(node *parser.Node, in *Instruction) bool {
	switch in.Keyword {
	case "RUN", "CMD", "ENTRYPOINT":
		return true
	case "USER", "WORKDIR", "MAINTAINER", "STOPSIGNAL":
		return len(in.Args) == 1
	case "EXPOSE":
		return len(in.Args) >= 1
	case "COPY", "ADD":
		return isCopy(in)
	case "FROM":
		return isBase(in.Args)
	case "ENV", "LABEL", "ARG":
		return areNamed(in.Pairs)
	case "ONBUILD":
		return isTrigger(node)
	}
	return false
}

// isBase reports whether the arguments of FROM are certainly valid.
func isBase(args []string) bool {
	return len(args) == 1 || len(args) == 3 && strings.EqualFold(args[1], "as") && isStageName(args[2])
}

// isStageName reports whether the name is certainly valid.
func isStageName(name string) bool {
	for i := range len(name) {
		c := name[i] | 0x20 // the lower case of a letter
		if (c < 'a' || c > 'z') && (i == 0 || name[i] < '0' || name[i] > '9') && (i == 0 || name[i] != '-') {
			return false
		}
	}
	return name != ""
}

func areNamed(pairs []Pair) bool {
	return len(pairs) > 0 && !slices.ContainsFunc(pairs, func(p Pair) bool { return p.Name == "" })
}

func isCopy(in *Instruction) bool {
	return len(in.Args) >= 2 && len(in.Heredocs) == 0 && !strings.Contains(in.Args[len(in.Args)-1], "<<")
}

func isTrigger(node *parser.Node) bool {
	if node.Next == nil || len(node.Next.Children) != 1 {
		return false
	}
	switch strings.ToUpper(node.Next.Children[0].Value) {
	case "ONBUILD", "MAINTAINER", "FROM":
		return false
	}
	return true
}
