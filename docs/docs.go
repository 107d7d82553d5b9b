// Package docs holds the pages of the rules and the probes, for programs that show them.
package docs

import "embed"

// pages are read when they are asked for, not before.
//
//go:embed rules/*.md probes/*.md
var pages embed.FS

// Page is the page of a rule, "DH001" say, in Markdown; empty: there is none.
func Page(id string) string { return page("rules", id) }

// Probe is the page of a probe, "raw-socket" say, in Markdown; empty: there is none.
func Probe(name string) string { return page("probes", name) }

func page(dir, name string) string {
	text, err := pages.ReadFile(dir + "/" + name + ".md")
	if err != nil {
		return ""
	}
	return string(text)
}
