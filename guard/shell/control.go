package shell

import (
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

func (m *machine) binary(c *syntax.BinaryCmd) (flow, verdict) {
	if c.Op == syntax.Pipe || c.Op == syntax.PipeAll {
		return m.pipe(c)
	}
	f, v := m.leftSide(c)
	if f.ends() {
		return f, v
	}
	if c.Op == syntax.OrStmt {
		v = v.not()
	}
	switch v {
	case yes:
		g, w := m.stmt(c.Y)
		return f&^next | g, w
	case no:
		if c.Op == syntax.OrStmt {
			return f, yes
		}
		return f, no
	case perhaps:
	}
	g, w := m.either(func() (flow, verdict) { return m.stmt(c.Y) }, nil)
	if c.Op == syntax.OrStmt && w != yes {
		w = perhaps
	}
	return f&^next | g, w
}

// leftSide runs the left side of && and ||.
func (m *machine) leftSide(c *syntax.BinaryCmd) (flow, verdict) {
	if c.Op == syntax.OrStmt && !givesUp(c.Y) {
		return m.tried(func() (flow, verdict) { return m.stmt(c.X) }, m.changesUsers(c.Y))
	}
	return m.stmt(c.X)
}

// tried runs what may fail without ending the script. Whether it does is mostly to be seen from what it is asked
// to do; where something else is done then, what it does is not certain.
func (m *machine) tried(do func() (flow, verdict), otherwise bool) (flow, verdict) {
	before, maybe := m.unsure, m.maybe
	m.unsure = false
	if otherwise {
		m.maybe++
	}
	f, v := do()
	m.maybe = maybe
	if m.unsure {
		v = perhaps
	}
	m.unsure = m.unsure || before
	return f, v
}

// changesUsers reports whether a statement seems to change users or groups.
func (m *machine) changesUsers(s *syntax.Stmt) bool {
	from, to := s.Pos().Offset(), s.End().Offset()
	if from >= to || to > uint(len(m.source)) {
		return true
	}
	text := m.source[from:to]
	return strings.Contains(text, "user") || strings.Contains(text, "group") || strings.Contains(text, "passwd")
}

// givesUp reports whether a statement ends the script as one that failed.
func givesUp(s *syntax.Stmt) bool {
	switch c := s.Cmd.(type) {
	case *syntax.Block:
		return len(c.Stmts) > 0 && givesUp(c.Stmts[len(c.Stmts)-1])
	case *syntax.CallExpr:
		if len(c.Args) == 1 && c.Args[0].Lit() == "false" {
			return true
		}
		return len(c.Args) == 2 && c.Args[0].Lit() == "exit" && c.Args[1].Lit() != "" && c.Args[1].Lit() != "0"
	}
	return false
}

// pipe runs both sides as subshells; what echo and its like say is what the right side reads.
func (m *machine) pipe(c *syntax.BinaryCmd) (flow, verdict) {
	text, ok := m.output(c.X)
	m.subshell(func() (flow, verdict) { return m.stmt(c.X) })
	_, v := m.subshell(func() (flow, verdict) {
		if call, simple := c.Y.Cmd.(*syntax.CallExpr); simple && ok {
			return m.simpleReading(call, c.Y, &text)
		}
		return m.stmt(c.Y)
	})
	if c.Y.Negated {
		v = v.not()
	}
	return next, v
}

func (m *machine) ifClause(c *syntax.IfClause) (flow, verdict) {
	if len(c.Cond) == 0 { // else
		return m.stmts(c.Then)
	}
	f, v := m.tried(func() (flow, verdict) { return m.stmts(c.Cond) }, true)
	if f.ends() {
		return f, v
	}
	then := func() (flow, verdict) { return m.stmts(c.Then) }
	otherwise := func() (flow, verdict) {
		if c.Else == nil {
			return next, yes
		}
		return m.ifClause(c.Else)
	}
	var g flow
	switch v {
	case yes:
		g, v = then()
	case no:
		g, v = otherwise()
	case perhaps:
		g, v = m.either(then, otherwise)
	}
	return f&^next | g, v
}

// while runs a loop as long as its condition is known, and once where it is not.
func (m *machine) while(c *syntax.WhileClause) (flow, verdict) {
	var ended flow
	maybe := m.maybe
	defer func() { m.maybe = maybe }()
	for range maxRounds {
		f, v := m.tried(func() (flow, verdict) { return m.stmts(c.Cond) }, true)
		if c.Until {
			v = v.not()
		}
		ended |= f &^ next
		if f.ends() {
			return ended, v
		}
		switch v {
		case no:
			return ended | next, yes
		case perhaps:
			g, _ := m.either(func() (flow, verdict) { return m.stmts(c.Do) }, nil)
			return afterLoop(ended|g) | next, yes
		case yes:
		}
		g, _ := m.stmts(c.Do)
		ended |= g &^ (next | again)
		if g&(next|again) == 0 {
			return afterLoop(ended), yes
		}
		if ended != 0 { // it ended on some ways
			m.maybe = maybe + 1
		}
	}
	f := afterLoop(ended)
	if !forever(c) {
		m.lost = true
		return f | next, perhaps
	}
	if f.ends() && m.nested == 0 {
		m.exits(m, false)
	}
	return f | gone, perhaps
}

// forever reports whether a loop's condition is "true" or ":".
func forever(c *syntax.WhileClause) bool {
	if len(c.Cond) != 1 || c.Until {
		return false
	}
	call, ok := c.Cond[0].Cmd.(*syntax.CallExpr)
	if !ok || len(call.Args) != 1 {
		return false
	}
	lit := call.Args[0].Lit()
	return lit == "true" || lit == ":"
}

// afterLoop is the flow behind a loop: break and continue end there.
func afterLoop(f flow) flow {
	if f&(broken|again) != 0 {
		f |= next
	}
	return f &^ (broken | again)
}

func (m *machine) forClause(c *syntax.ForClause) (flow, verdict) {
	iter, ok := c.Loop.(*syntax.WordIter)
	body := func() (flow, verdict) { return m.stmts(c.Do) }
	if !ok || c.Select {
		f, _ := m.either(body, nil)
		return afterLoop(f), perhaps
	}
	items := m.now.params
	if iter.InPos.IsValid() {
		items = m.fields(iter.Items)
	}
	if anyLoose(items) || len(items) > maxRounds {
		m.now.vars[iter.Name.Value] = open("$"+iter.Name.Value, true)
		f, _ := m.either(body, nil)
		return afterLoop(f), perhaps
	}
	var ended flow
	maybe := m.maybe
	defer func() { m.maybe = maybe }()
	for _, item := range items {
		m.now.vars[iter.Name.Value] = item
		f, _ := body()
		ended |= f &^ (next | again)
		if f&(next|again) == 0 {
			return afterLoop(ended), yes
		}
		if ended != 0 { // it ended on some ways
			m.maybe = maybe + 1
		}
	}
	return afterLoop(ended) | next, yes
}

// caseClause runs the item that matches, or every one that may.
func (m *machine) caseClause(c *syntax.CaseClause) (flow, verdict) {
	word := m.text(c.Word)
	var ways []func() (flow, verdict)
	for i, item := range c.Items {
		v := no
		for _, p := range item.Patterns {
			v = orElse(v, m.matches(p, word))
		}
		if v == no {
			continue
		}
		ways = append(ways, func() (flow, verdict) { return m.caseItems(c.Items[i:]) })
		if v == yes {
			return m.only(ways)
		}
	}
	if len(ways) == 0 {
		return next, yes
	}
	return m.either(append(ways, nil)...)
}

// only goes the one way, or any of several.
func (m *machine) only(ways []func() (flow, verdict)) (flow, verdict) {
	if len(ways) == 1 {
		return ways[0]()
	}
	return m.either(ways...)
}

// caseItems runs an item, and the next where it falls through.
func (m *machine) caseItems(items []*syntax.CaseItem) (flow, verdict) {
	f, v := m.stmts(items[0].Stmts)
	if items[0].Op == syntax.Fallthrough && len(items) > 1 && !f.ends() {
		g, w := m.caseItems(items[1:])
		return f&^next | g, w
	}
	return f, v
}

func orElse(a, b verdict) verdict {
	switch {
	case a == yes || b == yes:
		return yes
	case a == perhaps || b == perhaps:
		return perhaps
	}
	return no
}

func andAlso(a, b verdict) verdict { return orElse(a.not(), b.not()).not() }
