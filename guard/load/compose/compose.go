// Package compose loads compose files. The model is compose-go's, with extends, include, profiles (all of them) and
// interpolation; where each value stands is looked up in the text. Every service and job is a subject.
//
// A file means the same on every machine: variables come from the .env file beside it and from nowhere else, and
// nothing is fetched. What comes from another file has the line of the service that takes it, without a column.
package compose

import (
	"bytes"
	"cmp"
	"context"
	"path/filepath"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/load/yamltree"
)

// Is reports whether a file of this name (base name) with this beginning is a compose file: by its name, or by the
// services it has.
func Is(name string, data []byte) bool {
	name = strings.ToLower(name)
	ext := filepath.Ext(name)
	switch ext {
	case ".yaml", ".yml", "":
	default:
		return false
	}
	stem := strings.TrimSuffix(name, ext)
	if ext != "" && named(stem) {
		return true
	}
	services := false
	for line := range bytes.Lines(data) {
		switch {
		case yamltree.HasKey(line, "apiVersion"):
			return false
		case yamltree.HasKey(line, "services"):
			services = true
		}
	}
	return services
}

// named reports whether a name without its extension is one that compose files have.
func named(stem string) bool {
	for _, name := range []string{"compose", "docker-compose", "podman-compose", "container-compose"} {
		rest, ok := strings.CutPrefix(stem, name)
		if ok && (rest == "" || rest[0] == '.' || rest[0] == '-' || rest[0] == '_') {
			return true
		}
	}
	return false
}

// Load reads the services and jobs of a compose file. The error is a *guard.SyntaxError where the file is to blame.
func Load(ctx context.Context, src guard.Source, env guard.Env) ([]*guard.Subject, error) {
	tree, err := yamltree.Parse(src.Path, src.Data, yamltree.Options{})
	if err != nil {
		return nil, err
	}
	f, err := newFile(src, tree)
	if err != nil {
		return nil, err
	}
	project, err := f.project(ctx)
	if err != nil {
		return nil, err
	}
	var subjects []*guard.Subject
	for _, c := range f.containers(project) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		subjects = append(subjects, c.subject(ctx, env))
	}
	return subjects, nil
}

// containers are what the project runs, in the order of the file.
func (f *file) containers(project *types.Project) []*container {
	var all []*container
	for _, s := range project.Services {
		if s.Provider != nil {
			continue // a program that is no container stands in for it
		}
		c := f.container(project, "services", s.Name, &s.ContainerSpec)
		c.work = &s.WorkloadSpec
		all = append(all, c)
		for i := range s.PreStart {
			all = append(all, c.hook(i, &s.PreStart[i].ContainerSpec))
		}
	}
	for name, j := range project.Jobs {
		c := f.container(project, "jobs", name, &j.ContainerSpec)
		c.work = &j.WorkloadSpec
		all = append(all, c)
	}
	slices.SortStableFunc(all, func(a, b *container) int {
		return cmp.Or(cmp.Compare(a.where.Line, b.where.Line), cmp.Compare(a.where.Column, b.where.Column), cmp.Compare(a.name, b.name))
	})
	return all
}
