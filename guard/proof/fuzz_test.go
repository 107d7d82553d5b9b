package proof_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.yaml.in/yaml/v4"

	"github.com/deckhand-engine/deckhand/guard/probe"
	"github.com/deckhand-engine/deckhand/guard/profile"
	"github.com/deckhand-engine/deckhand/guard/proof"
)

// FuzzParse: what Parse takes Files can write, and what it has written says the same and can be read by others.
func FuzzParse(f *testing.F) {
	for _, p := range []*proof.Proof{sample(), irreducible(), hostile()} {
		for _, c := range []*probe.Column{p.Before, p.After} {
			if c != nil {
				c.Results = c.Results[:2] // the smaller a seed, the more of it is tried
			}
		}
		all, err := proof.Files(p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(all[proof.FileName])
	}
	f.Add([]byte(`{"version": 1, "profile": {"version": 1, "user": "0:0"}}`))
	f.Add([]byte(`{"version": 1, "name": "\u0085\ufeff\ud800", "profile": {"version": 1, "user": "1:1", "tmpfs": [{"path": "/\ufffd"}]}, "before": {}, "after": {"title": "\uffff"}}`))
	f.Add([]byte(`{"version": 1, "profile": {"version": 1, "user": "1:1"}, "trials": [{"seconds": 0.123456789}], "finished": "2026-01-02T03:04:05.678+09:00"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := proof.Parse(data)
		if err != nil {
			return
		}
		all := files(t, p)
		again, err := proof.Parse(all[proof.FileName])
		if err != nil {
			t.Fatalf("not read again: %v", err)
		}
		if second := files(t, again); !cmp.Equal(all, second) {
			t.Fatalf("it changes each time: %s", cmp.Diff(all, second))
		}
		if len(again.Trials) != len(p.Trials) || !cmp.Equal(p.Trials, again.Trials, cmpopts.EquateEmpty()) {
			t.Fatalf("trials: %s", cmp.Diff(p.Trials, again.Trials))
		}
		if _, err := profile.Parse(all[profile.FileName]); err != nil {
			t.Fatalf("%s: %v", profile.FileName, err)
		}
		for _, name := range []string{proof.ComposeName, proof.KubernetesName} {
			var documents []any
			if err := yaml.Load(all[name], &documents, yaml.WithAllDocuments()); err != nil {
				t.Fatalf("%s: %v\n%s", name, err, all[name])
			}
		}
		if content, ok := all[proof.SeccompName]; ok && !json.Valid(content) {
			t.Fatalf("%s: %s", proof.SeccompName, content)
		}
		if content, ok := all[proof.PictureName]; ok {
			read(t, content)
		}
		if bytes.ContainsAny(all[proof.RunName], "\x00\x1b") {
			t.Fatalf("%s: %q", proof.RunName, all[proof.RunName])
		}
	})
}
