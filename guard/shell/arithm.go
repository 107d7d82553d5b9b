package shell

import (
	"strconv"

	"mvdan.cc/sh/v3/syntax"
)

// arithm works out an expression of known whole numbers; nil is none.
func (m *machine) arithm(x syntax.ArithmExpr) (int, bool) {
	if m.depth > maxDepth {
		m.lost = true
		return 0, false
	}
	m.depth++
	defer func() { m.depth-- }()
	switch x := x.(type) {
	case *syntax.Word:
		return m.arithmWord(x)
	case *syntax.ParenArithm:
		return m.arithm(x.X)
	case *syntax.UnaryArithm:
		return m.unary(x)
	case *syntax.BinaryArithm:
		return m.binaryArithm(x)
	}
	return 0, false
}

func (m *machine) arithmWord(w *syntax.Word) (int, bool) {
	text := m.text(w)
	if n, err := strconv.Atoi(text); err == nil {
		return n, true
	}
	if !syntax.ValidName(text) {
		return 0, false
	}
	v := m.lookup(text, nil)
	if v.unset {
		return 0, false
	}
	if v.joined() == "" {
		return 0, true
	}
	n, err := strconv.Atoi(v.joined())
	return n, err == nil
}

func (m *machine) unary(x *syntax.UnaryArithm) (int, bool) {
	n, ok := m.arithm(x.X)
	switch x.Op {
	case syntax.Not:
		return truth(n == 0), ok
	case syntax.Minus:
		return -n, ok
	case syntax.Plus:
		return n, ok
	case syntax.Inc, syntax.Dec:
		step := 1
		if x.Op == syntax.Dec {
			step = -1
		}
		m.assignNumber(x.X, n+step, ok)
		if x.Post {
			return n, ok
		}
		return n + step, ok
	case syntax.BitNegation:
		return ^n, ok
	}
	return 0, false
}

// assignNumber sets the variable that an expression names.
func (m *machine) assignNumber(x syntax.ArithmExpr, n int, ok bool) {
	w, isWord := x.(*syntax.Word)
	if !isWord || !syntax.ValidName(w.Lit()) {
		return
	}
	text := open("$"+w.Lit(), true)
	if ok {
		text = strconv.Itoa(n)
	}
	m.set(w.Lit(), text)
}

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (m *machine) binaryArithm(x *syntax.BinaryArithm) (int, bool) {
	switch x.Op {
	case syntax.Assgn:
		n, ok := m.arithm(x.Y)
		m.assignNumber(x.X, n, ok)
		return n, ok
	case syntax.AddAssgn, syntax.SubAssgn:
		a, okA := m.arithm(x.X)
		b, okB := m.arithm(x.Y)
		if x.Op == syntax.SubAssgn {
			b = -b
		}
		m.assignNumber(x.X, a+b, okA && okB)
		return a + b, okA && okB
	default:
	}
	a, okA := m.arithm(x.X)
	b, okB := m.arithm(x.Y)
	if !okA || !okB {
		return 0, false
	}
	if n, ok := logical(x.Op, a != 0, b != 0); ok {
		return n, true
	}
	if n, ok := calculate(x.Op, a, b); ok {
		return n, true
	}
	return compare(x.Op, a, b)
}

func logical(op syntax.BinAritOperator, a, b bool) (int, bool) {
	switch op {
	case syntax.AndArit:
		return truth(a && b), true
	case syntax.OrArit:
		return truth(a || b), true
	default:
		return 0, false
	}
}

func calculate(op syntax.BinAritOperator, a, b int) (int, bool) {
	switch op {
	case syntax.Add:
		return a + b, true
	case syntax.Sub:
		return a - b, true
	case syntax.Mul:
		return a * b, true
	case syntax.Quo:
		if b != 0 {
			return a / b, true
		}
	case syntax.Rem:
		if b != 0 {
			return a % b, true
		}
	default:
	}
	return 0, false
}

func compare(op syntax.BinAritOperator, a, b int) (int, bool) {
	switch op {
	case syntax.Eql:
		return truth(a == b), true
	case syntax.Neq:
		return truth(a != b), true
	case syntax.Lss:
		return truth(a < b), true
	case syntax.Leq:
		return truth(a <= b), true
	case syntax.Gtr:
		return truth(a > b), true
	case syntax.Geq:
		return truth(a >= b), true
	default:
		return 0, false
	}
}
