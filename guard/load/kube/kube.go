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
	if trimmed := bytes.TrimLeft(data, " \t\r\n"); len(trimmed) > 0 && trimmed[0] == '{' && !bytes.HasPrefix(trimmed, []byte("{{")) {
		return bytes.Contains(trimmed, []byte(`"apiVersion"`)) && bytes.Contains(trimmed, []byte(`"kind"`))
	}
	version, kind := false, false
	for line := range bytes.Lines(data) {
		version = version || bytes.HasPrefix(line, []byte("apiVersion:"))
		kind = kind || bytes.HasPrefix(line, []byte("kind:"))
		if version && kind {
			return true
		}
	}
	return false
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
