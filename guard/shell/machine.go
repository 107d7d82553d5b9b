package shell

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"

	"mvdan.cc/sh/v3/syntax"

	"github.com/deckhand-engine/deckhand/guard"
)

// Bounds of what is followed, so that no text takes long.
const (
	maxSource     = 256 << 10 // bytes of a script
	maxDepth      = 60        // statements and expansions within one another
	maxStatements = 20000     // run, loops and functions included
	maxRounds     = 64        // of a loop
	maxOthers     = 4         // parameters that are told apart
	maxWord       = 64 << 10  // bytes of an expanded word
	maxWords      = 256 << 10 // bytes of a command's words
	maxFields     = 4096      // words of a command
)

// parsers are costly to make.
var parsers = sync.Pool{New: func() any { return syntax.NewParser(syntax.Variant(syntax.LangBash)) }}

// parse reads a script. Where it is not written well, the statements before are returned as well.
func parse(source string) ([]*syntax.Stmt, error) {
	p, ok := parsers.Get().(*syntax.Parser)
	if !ok {
		p = syntax.NewParser()
	}
	defer parsers.Put(p)
	var stmts []*syntax.Stmt
	var failure error
	for s, err := range p.StmtsSeq(strings.NewReader(source)) { // to its end: it goes on after an error
		if err != nil {
			failure = cmp.Or(failure, err)
		}
		if s != nil && failure == nil {
			stmts = append(stmts, s)
		}
	}
	return stmts, failure
}

// verdict is whether a command succeeds.
type verdict int8

const (
	perhaps verdict = iota
	yes
	no
)

func (v verdict) not() verdict {
	switch v {
	case yes:
		return no
	case no:
		return yes
	case perhaps:
	}
	return perhaps
}

func verdictOf(b bool) verdict {
	if b {
		return yes
	}
	return no
}

// flow is a set of ways in which statements may end. None is where a failure ends all: what follows is of no
// interest.
type flow uint8

const (
	next   flow = 1 << iota // with the statement that follows
	back                    // return
	broken                  // break
	again                   // continue
	gone                    // exec, exit: the shell is no more
)

// ends reports whether the statement that follows is certainly not run.
func (f flow) ends() bool { return f&next == 0 }

// listener is told what a script does.
type listener interface {
	// runs is told of a program; all that only starts another one is taken off.
	runs(m *machine, c call) verdict
	// drops is told of a program that is run as somebody else.
	drops(m *machine, d guard.Drop, c call)
	// writes is told of a file that is written by the shell.
	writes(m *machine, w write)
	// exits is told of the end of the script.
	exits(m *machine, failure bool)
}

// call is a program that is run.
type call struct {
	argv  []string
	exec  bool    // in place of the shell
	stdin *string // what it reads, where that is known: a here-document, the output of echo
}

// write is a file's new content.
type write struct {
	path    string
	content string // with marks
	appends bool
}

// machine follows a script. Where a condition is not known, it goes both ways.
type machine struct {
	listener
	env    func(name string) (string, bool)
	unset  func(name string) bool // nobody sets it; nil: not known
	file   func(name string) ([]byte, bool)
	name   string // $0
	source string
	bash   bool // it sets variables of its own
	now    *state
	funcs  map[string]*syntax.Stmt
	calls  []*frame
	maybe  int // conditions that may not hold
	nested int // subshells, where exec and exit end little
	depth  int
	left   int  // statements that may still be run
	lost   bool // a bound was reached: something was not followed

	aside    bool // commands are run for their output as well, as in $(useradd app)
	elevated int  // sudo and the like that are being run
	unsure   bool // a program was run that may have failed
}

// state is what differs between ways through a script.
type state struct {
	vars   map[string]string
	arrays map[string][]string
	params []string
	others [][]string // where ways with other parameters met: what they may be
	cwd    string     // "": not known
	last   last       // programs that may be the last that was run
	drop   *guard.Drop
}

// frame is a function that is being run.
type frame struct {
	name   string
	states *state // where it returned
	result []verdict
}

func newMachine(l listener, env func(string) (string, bool)) *machine {
	return &machine{
		listener: l, env: env, left: maxStatements, funcs: map[string]*syntax.Stmt{},
		now: &state{vars: map[string]string{}, arrays: map[string][]string{}},
	}
}

func (s *state) clone() *state {
	c := *s
	c.vars, c.arrays, c.params = maps.Clone(s.vars), maps.Clone(s.arrays), slices.Clone(s.params)
	return &c
}

// merge is what is known where two ways meet.
func merge(a, b *state) *state {
	if a == nil {
		return b
	}
	if b == nil {
		return a
	}
	m := a.clone()
	m.mergeVariables(b)
	if !slices.Equal(a.params, b.params) {
		m.others = nil
		if others := slices.Concat(a.possible(), b.possible()); len(others) <= maxOthers {
			m.others = others
		}
		m.params = []string{anyParams()}
	}
	if a.cwd != b.cwd {
		m.cwd = ""
	}
	m.last |= b.last
	if m.drop == nil {
		m.drop = b.drop
	}
	return m
}

// mergeVariables forgets the variables that differ.
func (s *state) mergeVariables(other *state) {
	for name, value := range other.vars {
		if old, ok := s.vars[name]; !ok || old != value {
			s.vars[name] = open("$"+name, true)
		}
	}
	for name := range s.vars {
		if _, ok := other.vars[name]; !ok {
			s.vars[name] = open("$"+name, true)
		}
	}
	for name, value := range other.arrays {
		if !slices.Equal(s.arrays[name], value) {
			s.arrays[name] = []string{open("${"+name+"[@]}", false)}
		}
	}
	for name := range s.arrays {
		if _, ok := other.arrays[name]; !ok {
			s.arrays[name] = []string{open("${"+name+"[@]}", false)}
		}
	}
}

// anyParams stands for parameters that are not known.
func anyParams() string { return open("$@", false) }

// possible are the parameters that there may be.
func (s *state) possible() [][]string {
	if len(s.params) == 1 && s.params[0] == anyParams() && s.others != nil {
		return s.others
	}
	return [][]string{s.params}
}

// follow runs a script's text with the machine as it is.
func (m *machine) follow(source string) (flow, verdict) {
	if len(source) > maxSource || strings.ContainsAny(source, marks) || m.depth > maxDepth {
		m.lost = true
		return next, perhaps
	}
	stmts, err := parse(source)
	outer := m.source
	m.source = source
	m.depth++
	f, v := m.stmts(stmts)
	m.depth--
	m.source = outer
	if err != nil && !f.ends() {
		m.lost = true
	}
	return f, v
}

func (m *machine) stmts(list []*syntax.Stmt) (flow, verdict) {
	f, v := next, yes
	maybe := m.maybe
	for _, s := range list {
		var after flow
		after, v = m.stmt(s)
		f = f&^next | after
		if f.ends() {
			break
		}
		if after != next { // it ended on some ways
			m.maybe = maybe + 1
		}
	}
	m.maybe = maybe
	return f, v
}

func (m *machine) stmt(s *syntax.Stmt) (flow, verdict) {
	if m.left--; m.left < 0 || m.depth > maxDepth {
		m.lost = true
		return next, perhaps
	}
	m.depth++
	defer func() { m.depth-- }()
	f, v := m.command(s)
	if s.Negated {
		v = v.not()
	}
	if s.Background || s.Coprocess {
		return next, yes
	}
	return f, v
}

func (m *machine) command(s *syntax.Stmt) (flow, verdict) {
	if c, ok := s.Cmd.(*syntax.CallExpr); ok {
		return m.simple(c, s)
	}
	m.redirectCompound(s)
	switch c := s.Cmd.(type) {
	case *syntax.BinaryCmd:
		return m.binary(c)
	case *syntax.IfClause:
		return m.ifClause(c)
	case *syntax.WhileClause:
		return m.while(c)
	case *syntax.ForClause:
		return m.forClause(c)
	case *syntax.CaseClause:
		return m.caseClause(c)
	case *syntax.Block:
		return m.stmts(c.Stmts)
	case *syntax.Subshell:
		return m.subshell(func() (flow, verdict) { return m.stmts(c.Stmts) })
	}
	return m.lesser(s.Cmd)
}

// lesser are the commands that decide little.
func (m *machine) lesser(c syntax.Command) (flow, verdict) {
	switch c := c.(type) {
	case *syntax.FuncDecl:
		if c.Name != nil {
			m.funcs[c.Name.Value] = c.Body
		}
		return next, yes
	case *syntax.DeclClause:
		m.declare(c)
		return next, yes
	case *syntax.TestClause:
		return next, m.test(c.X)
	case *syntax.ArithmCmd:
		n, ok := m.arithm(c.X)
		if !ok {
			return next, perhaps
		}
		return next, verdictOf(n != 0)
	case *syntax.TimeClause:
		if c.Stmt != nil {
			return m.stmt(c.Stmt)
		}
	case *syntax.CoprocClause:
		_, v := m.subshell(func() (flow, verdict) { return m.stmt(c.Stmt) })
		return next, v
	}
	return next, perhaps
}

// subshell runs something whose exec and exit end only itself.
func (m *machine) subshell(do func() (flow, verdict)) (flow, verdict) {
	before := m.now
	m.now = before.clone()
	m.nested++
	_, v := do()
	m.nested--
	before.last, before.drop = m.now.last, m.now.drop
	m.now = before
	return next, v
}

// either goes every way; nil is one that does nothing.
func (m *machine) either(ways ...func() (flow, verdict)) (flow, verdict) {
	before := m.now
	var after *state
	var f flow
	var all []verdict
	m.maybe++
	for _, way := range ways {
		m.now = before.clone()
		g, v := next, perhaps
		if way != nil {
			g, v = way()
		}
		if !g.ends() {
			after = merge(after, m.now)
			all = append(all, v)
		}
		f |= g
	}
	m.maybe--
	if after == nil {
		after = before
	}
	m.now = after
	return f, unanimous(all)
}

// unanimous is the verdict that all share.
func unanimous(all []verdict) verdict {
	if len(all) == 0 {
		return perhaps
	}
	for _, v := range all {
		if v != all[0] {
			return perhaps
		}
	}
	return all[0]
}
