package checkcmd

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/deckhand-engine/deckhand/docs"
	"github.com/deckhand-engine/deckhand/guard/rules"
	"github.com/deckhand-engine/deckhand/internal/hint"
)

// explain prints a rule's page.
func explain(w io.Writer, id string) error {
	r, ok := rules.ByID(id)
	if !ok {
		return hint.With(fmt.Errorf("there is no rule %s", id), "all rules:  deckhand check --rules")
	}
	_, err := io.WriteString(w, strings.TrimRight(docs.Page(r.ID), "\n")+"\n")
	return err
}

// listRules prints a line a rule.
func listRules(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	_, _ = fmt.Fprintln(tw, "ID\tNAME\tSEVERITY\tTITLE") // Flush returns the error
	for _, r := range rules.All() {
		_, _ = fmt.Fprintf(tw, "%s\t%s\t%s\t%s\n", r.ID, r.Name, r.Severity, r.Title) // likewise
	}
	return tw.Flush()
}
