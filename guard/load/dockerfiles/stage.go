package dockerfiles

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/deckhand-engine/deckhand/dockerfile"
	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/shell"
	"github.com/deckhand-engine/deckhand/guard/users"
)

// build is one Dockerfile that is followed.
type build struct {
	src    guard.Source
	env    guard.Env
	file   *dockerfile.File
	global *dockerfile.Scope
	stages []*stage             // those that were followed
	images map[string]*users.DB // of the images that files are copied from; nil: not known
	files  buildContext
	looks  int // for files, so far
	read   int // steps, for what they write

	lookups map[fileOf]lookedUp
}

// stage is a stage at its end, or while it is followed.
type stage struct {
	def    *dockerfile.Stage
	parent *stage // FROM names a stage
	base   *base  // where the chain of parents begins
	scope  *dockerfile.Scope

	user       setting
	workdir    string   // absolute; empty: not known
	shell      []string // SHELL
	entrypoint command
	cmd        command
	cmdSet     bool // by this stage
	ports      []guard.Port

	// What follows is the stage's own; its parents have theirs.
	variables []guard.Variable
	steps     []guard.Step
	events    []event
	db        *users.DB // at the end; nil until it is asked for
}

// setting is what sets the user.
type setting struct {
	set       bool
	spec, raw string // expanded and as written
	where     guard.Location
	stage     int                     // index of the stage that sets it
	by        *dockerfile.Instruction // nil: not an instruction of this file
	why       string                  // why spec is not known
	from      string                  // who sets it, if not this document
}

// event is what happens to the users and files of an image: a RUN step's changes, or a file that is put there.
type event struct {
	changes []users.Change
	as      setting                 // who makes the changes
	run     *dockerfile.Instruction // RUN
	at      shell.Place             // where it is run
	put     *placement
}

// chain are the stage and its parents, the first first.
func (s *stage) chain() []*stage {
	var chain []*stage
	for at := s; at != nil; at = at.parent {
		chain = append(chain, at)
	}
	slices.Reverse(chain)
	return chain
}

// follow goes through a stage, after those it is built from.
func (b *build) follow(ctx context.Context, index int) (*stage, error) {
	if b.stages[index] != nil {
		return b.stages[index], nil
	}
	s, err := b.begin(ctx, &b.file.Stages[index])
	if err != nil {
		return nil, err
	}
	for i := range s.def.Instructions {
		if err := b.do(s, &site{file: b.file}, &s.def.Instructions[i]); err != nil {
			return nil, err
		}
	}
	b.stages[index] = s
	return s, nil
}

// begin is FROM, with the triggers that what it names has left.
func (b *build) begin(ctx context.Context, def *dockerfile.Stage) (*stage, error) {
	name, err := b.global.Expand(def.Base)
	if err != nil {
		return nil, fault(def.From, err)
	}
	if name.Value == "" && len(name.Empty) == 0 {
		return nil, fault(def.From, fmt.Errorf("base name (%s) should not be blank", def.Base))
	}
	s := &stage{def: def}
	if len(name.Empty) == 0 {
		// BuildKit wants the name in lower case here; other letters are never an image's either.
		if i := b.file.StageNamed(name.Value, def.Index); i >= 0 {
			return s, b.beginOnStage(ctx, s, i)
		}
	}
	s.scope = b.global.Stage(nil)
	s.base = b.findBase(ctx, def, name)
	s.takeImage(b.at(def.From.Range))
	if s.base.image == nil {
		return s, nil
	}
	return s, b.imageTriggers(s)
}

func (b *build) beginOnStage(ctx context.Context, s *stage, index int) error {
	parent, err := b.follow(ctx, index)
	if err != nil {
		return err
	}
	s.parent, s.base = parent, parent.base
	s.scope = b.global.Stage(parent.scope)
	s.user, s.workdir, s.shell = parent.user, parent.workdir, parent.shell
	s.entrypoint, s.cmd, s.ports = parent.entrypoint, parent.cmd, slices.Clip(parent.ports)
	for i := range parent.def.Instructions {
		trigger := parent.def.Instructions[i].Trigger
		if trigger == nil {
			continue
		}
		if err := trigger.Err(); err != nil {
			return err
		}
		if err := b.do(s, &site{file: b.file}, trigger); err != nil {
			return err
		}
	}
	return nil
}

// imageTriggers does what the base image's ONBUILD puts off.
func (b *build) imageTriggers(s *stage) error {
	from := b.at(s.def.From.Range)
	for _, text := range s.base.image.Config.Config.OnBuild {
		file, trigger, err := dockerfile.ParseTrigger(text)
		if err == nil && trigger.Keyword == "ONBUILD" {
			err = fmt.Errorf("%s triggers %s", s.base.title(), strings.TrimSpace(text))
		}
		if err == nil {
			err = b.do(s, &site{file: file, at: &from, from: s.base.title()}, trigger)
		}
		if err != nil {
			return fault(s.def.From, err)
		}
	}
	return nil
}

// fault blames an instruction for an error.
func fault(in *dockerfile.Instruction, err error) error {
	return &dockerfile.SyntaxError{Line: in.Range.Start.Line, Text: cause(err).Error()}
}

// cause is the error of a line without the line.
func cause(err error) error {
	if syntax, ok := errors.AsType[*dockerfile.SyntaxError](err); ok {
		return errors.New(syntax.Text)
	}
	return err
}

// site is where an instruction comes from.
type site struct {
	file *dockerfile.File
	at   *guard.Location // of what stands in no file: the FROM that brought it
	from string          // who brought it: "base image a:1"
}

// place is where a part of the site's file stands in the document.
func (b *build) place(from *site, r dockerfile.Range) guard.Location {
	if from.at != nil {
		return *from.at
	}
	return b.at(r)
}
