// Package kube loads Kubernetes manifests: streams of YAML or JSON, lists, and what Helm renders. Every container of
// every pod that they describe is a subject, with the exact place of all that is known of it.
//
// Fields are understood as Kubernetes' own tools do (YAML 1.1, case-sensitive names, the last of equal keys). What
// is none of its workloads is left out, but for resources that embed a PodTemplateSpec as it is.
package kube

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"strings"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/load/yamltree"
)

// Is reports whether a file of this name (base name) with this beginning is a manifest: YAML or JSON that names its
// apiVersion and kind.
func Is(name string, data []byte) bool {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".yaml", ".yml", ".json", "":
	default:
		return false
	}
	seen, begins := header(0), true
	for line := range bytes.Lines(data) {
		if rest, ok := bytes.CutPrefix(line, []byte("---")); ok {
			begins, line = true, rest
		}
		flow := bytes.TrimSpace(line)
		switch {
		case insignificant(flow):
			continue
		case begins && flow[0] == '{': // JSON, or YAML that is written like it: lines mean nothing in it
			return member(data, "apiVersion") && member(data, "kind")
		}
		begins = false
		if seen |= headerOf(line); seen == hasVersion|hasKind {
			return true
		}
	}
	return false
}

// header are the keys that make a mapping a manifest.
type header uint8

const (
	hasVersion header = 1 << iota
	hasKind
)

func headerOf(line []byte) header {
	switch {
	case yamltree.HasKey(line, "apiVersion"):
		return hasVersion
	case yamltree.HasKey(line, "kind"):
		return hasKind
	}
	return 0
}

// insignificant reports whether a line is empty, a comment, or only a template's.
func insignificant(line []byte) bool {
	return len(line) == 0 || line[0] == '#' || bytes.HasPrefix(line, []byte("{{"))
}

// member reports whether a text in braces has a member of that name, with a scalar for its value: a schema, which has
// as many megabytes as manifests have kilobytes, describes it by an object.
func member(text []byte, name string) bool {
	for {
		_, rest, ok := bytes.Cut(text, []byte(name))
		if !ok {
			return false
		}
		value, ok := bytes.CutPrefix(bytes.TrimLeft(rest, "\"' \t\r\n"), []byte(":"))
		value = bytes.TrimLeft(value, " \t\r\n")
		if ok && len(value) > 0 && value[0] != '{' && value[0] != '[' {
			return true
		}
		text = rest
	}
}

// Load reads the containers of a manifest's pods. The error is a *guard.SyntaxError where a line is to blame: the
// first of those documents that cannot be read. The subjects of the others are returned beside it.
func Load(ctx context.Context, src guard.Source, env guard.Env) ([]*guard.Subject, error) {
	tree, err := yamltree.Parse(src.Path, src.Data, yamltree.Options{Ordered: true})
	first := template(src, err)
	var subjects []*guard.Subject
	for _, document := range tree.Documents() {
		workloads, err := find(document)
		if err != nil && first == nil {
			first = template(src, err)
		}
		for _, w := range workloads {
			if err := ctx.Err(); err != nil {
				return subjects, err
			}
			subjects = append(subjects, w.subjects(ctx, env)...)
		}
	}
	return subjects, first
}

// template says of an error in a template how it becomes a manifest.
func template(src guard.Source, err error) error {
	var syntax *guard.SyntaxError
	if !errors.As(err, &syntax) || !bytes.Contains(src.Data, []byte("{{")) {
		return err
	}
	return &guard.SyntaxError{
		Line: syntax.Line,
		Text: syntax.Text + ": a Helm template is no manifest yet, pipe what `helm template` makes of it into deckhand check -",
	}
}
