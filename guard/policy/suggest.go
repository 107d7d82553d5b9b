package policy

import (
	"slices"
	"strings"

	"github.com/deckhand-engine/deckhand/guard/rules"
)

// suggest says which of the names was meant, or which there are: "did you mean fail-on?".
func suggest(got string, names []string) string {
	if best := nearest(got, names); best != "" {
		return "did you mean " + best + "?"
	}
	return "there are " + strings.Join(names, ", ")
}

// nearest is the name that differs by at most a third of its letters; empty: none does.
func nearest(got string, names []string) string {
	got = strings.ToLower(strings.ReplaceAll(got, "_", "-"))
	best, least := "", len(got)
	for _, name := range names {
		if len(got) > 2*len(name) { // a token of a megabyte is like no name
			continue
		}
		if d := distance(got, strings.ToLower(name)); d < least && d <= max(1, len(name)/3) {
			best, least = name, d
		}
	}
	return best
}

// distance is Levenshtein's, in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}

// ruleID is the id of a rule given by id or name, in any case; empty: there is none.
func ruleID(all []rules.Rule, name string) string {
	i := slices.IndexFunc(all, func(r rules.Rule) bool {
		return strings.EqualFold(r.ID, name) || strings.EqualFold(r.Name, name)
	})
	if i < 0 {
		return ""
	}
	return all[i].ID
}

// suggestRule says which rule was meant.
func suggestRule(all []rules.Rule, name string) string {
	names := make([]string, 0, 2*len(all))
	for _, r := range all {
		names = append(names, r.Name, r.ID)
	}
	if best := nearest(name, names); best != "" {
		return "did you mean " + best + "?"
	}
	return "all rules: deckhand check --rules"
}
