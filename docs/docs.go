// Package docs holds the pages of the rules, for programs that show them.
package docs

import "embed"

// rules are the pages; nothing of them is read before it is asked for.
//
//go:embed rules/*.md
var rules embed.FS

// Page is the page of a rule, "DH001" say, in Markdown; empty: there is none.
func Page(id string) string {
	page, err := rules.ReadFile("rules/" + id + ".md")
	if err != nil {
		return ""
	}
	return string(page)
}
