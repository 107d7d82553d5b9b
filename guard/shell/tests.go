package shell

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// test is [[ … ]].
func (m *machine) test(x syntax.TestExpr) verdict {
	if m.depth > maxDepth {
		m.lost = true
		return perhaps
	}
	m.depth++
	defer func() { m.depth-- }()
	switch x := x.(type) {
	case *syntax.Word:
		return notEmpty(m.text(x))
	case *syntax.ParenTest:
		return m.test(x.X)
	case *syntax.UnaryTest:
		return m.unaryTest(x)
	case *syntax.BinaryTest:
		return m.binaryTest(x)
	}
	return perhaps
}

func (m *machine) unaryTest(x *syntax.UnaryTest) verdict {
	if x.Op == syntax.TsNot {
		return m.test(x.X).not()
	}
	w, ok := x.X.(*syntax.Word)
	if !ok {
		return perhaps
	}
	return testUnary(x.Op.String(), m.text(w))
}

func (m *machine) binaryTest(x *syntax.BinaryTest) verdict {
	switch x.Op {
	case syntax.AndTest:
		return andAlso(m.test(x.X), m.test(x.Y))
	case syntax.OrTest:
		return orElse(m.test(x.X), m.test(x.Y))
	default:
	}
	a, okA := x.X.(*syntax.Word)
	b, okB := x.Y.(*syntax.Word)
	if !okA || !okB {
		return perhaps
	}
	switch x.Op {
	case syntax.TsMatch, syntax.TsMatchShort:
		return m.matches(b, m.text(a))
	case syntax.TsNoMatch:
		return m.matches(b, m.text(a)).not()
	case syntax.TsReMatch:
		return matchRegexp(m.text(a), m.text(b))
	default:
		return m.compareWords(x.Op.String(), m.text(a), m.text(b))
	}
}

// compareWords compares; in [[ ]] what is no number is a variable's name.
func (m *machine) compareWords(op, a, b string) verdict {
	if strings.HasPrefix(op, "-") {
		a, b = m.numeric(a), m.numeric(b)
	}
	return testBinary(op, a, b)
}

func (m *machine) numeric(s string) string {
	if syntax.ValidName(s) {
		if v := m.lookup(s, nil); !v.unset {
			return v.joined()
		}
	}
	return s
}

func matchRegexp(text, pattern string) verdict {
	if !known(text) || !known(pattern) || len(pattern) > 256 || len(text) > 4096 {
		return perhaps
	}
	re, err := regexp.CompilePOSIX(pattern)
	if err != nil {
		return perhaps
	}
	return verdictOf(re.MatchString(text))
}

func notEmpty(text string) verdict {
	if known(text) {
		return verdictOf(text != "")
	}
	rest := text
	for rest != "" {
		i := strings.IndexAny(rest, marks)
		if i != 0 {
			return yes // a part that is known
		}
		j := strings.IndexByte(rest[1:], rest[0])
		if j < 0 {
			return perhaps
		}
		rest = rest[j+2:]
	}
	return perhaps
}

func testUnary(op, arg string) verdict {
	switch op {
	case "-n":
		return notEmpty(arg)
	case "-z":
		return notEmpty(arg).not()
	}
	return perhaps // files and terminals
}

func testBinary(op, a, b string) verdict {
	switch op {
	case "=", "==":
		return sameText(a, b)
	case "!=":
		return sameText(a, b).not()
	}
	x, errX := strconv.Atoi(a)
	y, errY := strconv.Atoi(b)
	if errX != nil || errY != nil {
		return perhaps
	}
	switch op {
	case "-eq":
		return verdictOf(x == y)
	case "-ne":
		return verdictOf(x != y)
	case "-lt":
		return verdictOf(x < y)
	case "-le":
		return verdictOf(x <= y)
	case "-gt":
		return verdictOf(x > y)
	case "-ge":
		return verdictOf(x >= y)
	}
	return perhaps
}

func sameText(a, b string) verdict {
	if known(a) && known(b) {
		return verdictOf(a == b)
	}
	if known(a) {
		a, b = b, a
	}
	if known(b) {
		return mayMatch(literal(b), a)
	}
	return perhaps
}

// bracketTest is test and [ with their words.
type bracketTest struct {
	words []string
	at    int
	depth int
}

// testCommand evaluates the words of test, without the closing bracket.
func testCommand(words []string) verdict {
	if anyLoose(words) {
		for i := range words { // an unquoted variable is taken for one word, as its author does
			words[i] = quote(words[i])
		}
	}
	if v, ok := testFew(words); ok {
		return v
	}
	t := bracketTest{words: words}
	v := t.or()
	if t.at < len(words) {
		return perhaps
	}
	return v
}

// testFew is POSIX's table for up to three words, where a word's place decides what it is.
func testFew(words []string) (verdict, bool) {
	switch {
	case len(words) == 0:
		return no, true
	case len(words) == 1:
		return notEmpty(words[0]), true
	case len(words) == 2 && words[0] == "!":
		return notEmpty(words[1]).not(), true
	case len(words) == 2:
		return testUnary(words[0], words[1]), true
	case len(words) == 3 && isBinary(words[1]):
		return testBinary(words[1], words[0], words[2]), true
	}
	return perhaps, false
}

func isBinary(op string) bool {
	return slices.Contains([]string{"=", "==", "!=", "-eq", "-ne", "-lt", "-le", "-gt", "-ge", "-nt", "-ot", "-ef", "<", ">"}, op)
}

func (t *bracketTest) is(word string) bool {
	if t.at < len(t.words) && t.words[t.at] == word {
		t.at++
		return true
	}
	return false
}

func (t *bracketTest) or() verdict {
	v := t.and()
	for t.is("-o") {
		v = orElse(v, t.and())
	}
	return v
}

func (t *bracketTest) and() verdict {
	v := t.not()
	for t.is("-a") {
		v = andAlso(v, t.not())
	}
	return v
}

func (t *bracketTest) not() verdict {
	if t.depth++; t.depth > maxDepth {
		t.at = 0
		return perhaps
	}
	defer func() { t.depth-- }()
	if t.is("!") {
		return t.not().not()
	}
	if t.is("(") {
		v := t.or()
		t.is(")")
		return v
	}
	return t.primary()
}

func (t *bracketTest) primary() verdict {
	rest := t.words[t.at:]
	switch {
	case len(rest) == 0:
		return perhaps
	case len(rest) >= 3 && isBinary(rest[1]):
		t.at += 3
		return testBinary(rest[1], rest[0], rest[2])
	case len(rest) >= 2 && len(rest[0]) == 2 && rest[0][0] == '-' && rest[0] != "-a" && rest[0] != "-o":
		t.at += 2
		return testUnary(rest[0], rest[1])
	}
	t.at++
	return notEmpty(rest[0])
}
