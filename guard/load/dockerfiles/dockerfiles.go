// Package dockerfiles loads Dockerfiles. The subject is the image that results: its stages are followed through
// ARG, ENV, FROM and ONBUILD as BuildKit follows them, down to the base image, and nothing is run.
//
// What a Dockerfile does not say is looked for in base images and in the build context, which is taken to be the
// directory of the Dockerfile. What cannot be known is not guessed: the user is unknown then, and why.
package dockerfiles

import (
	"context"
	"errors"
	"fmt"

	"github.com/deckhand-engine/deckhand/dockerfile"
	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/users"
)

// maxStages is how many stages a Dockerfile may have to be followed; each may ask for the files of all before it.
const maxStages = 500

// Load reads the document into its subject. The error is a [*guard.SyntaxError] where a line is to blame, as it is
// for everything that docker refuses to build because of what is written.
func Load(ctx context.Context, src guard.Source, env guard.Env) ([]*guard.Subject, error) {
	subject, err := load(ctx, src, env)
	var syntax *dockerfile.SyntaxError
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.As(err, &syntax):
		return nil, &guard.SyntaxError{Line: syntax.Line, Text: syntax.Text}
	case err != nil:
		return nil, err
	}
	return []*guard.Subject{subject}, nil
}

func load(ctx context.Context, src guard.Source, env guard.Env) (*guard.Subject, error) {
	file, err := dockerfile.Parse(src.Data)
	if err != nil {
		return nil, err
	}
	if len(file.Stages) > maxStages {
		return nil, &dockerfile.SyntaxError{Line: file.Stages[maxStages].From.Line(), Text: fmt.Sprintf("more than %d stages", maxStages)}
	}
	target, err := targetStage(file, env.Target)
	if err != nil {
		return nil, err
	}
	global, err := file.Scope(dockerfile.Options{Args: env.Args, Target: env.Target})
	if err != nil {
		return nil, err
	}
	b := &build{
		src: src, env: env, file: file, global: global, stages: make([]*stage, len(file.Stages)),
		images: map[string]*users.DB{}, lookups: map[fileOf]lookedUp{}, files: newContext(src),
	}
	defer b.files.close()
	s, err := b.follow(ctx, target)
	if err != nil {
		return nil, err
	}
	return b.subject(ctx, s), nil
}

// targetStage is the stage that is built.
func targetStage(file *dockerfile.File, name string) (int, error) {
	last := len(file.Stages) - 1
	if name == "" {
		return last, nil
	}
	if i := file.StageNamed(name, last+1); i >= 0 {
		return i, nil
	}
	return 0, fmt.Errorf("target stage %q could not be found", name)
}

// subject puts together what is known of the image.
func (b *build) subject(ctx context.Context, s *stage) *guard.Subject {
	chain := s.chain()
	root := chain[0]
	subject := &guard.Subject{
		Kind:     guard.KindDockerfile,
		Name:     "image",
		Where:    b.at(s.def.From.Range),
		User:     b.user(ctx, s),
		UserSlot: b.slot(s),
		Command:  s.command(),
		Ports:    s.ports,
	}
	if !root.base.scratch {
		subject.Image = root.base.name
		subject.ImageAt = b.at(b.file.ArgRange(root.def.From, 0))
	}
	for _, part := range chain {
		subject.Variables = append(subject.Variables, part.variables...)
		subject.Steps = append(subject.Steps, part.steps...)
	}
	if u := subject.User; u.Missing == "" && !u.UID.NotRoot() {
		subject.Drop = b.drop(ctx, s)
	}
	return subject
}

// at is a range as a location of the document.
func (b *build) at(r dockerfile.Range) guard.Location {
	return guard.Location{
		Path: b.src.Path, Line: r.Start.Line, Column: r.Start.Column, EndLine: r.End.Line, EndColumn: r.End.Column,
	}
}
