package cli

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

// parseCompletions reads what cobra's __complete prints: candidates, then ":" and the directive.
func parseCompletions(out string) ([]string, cobra.ShellCompDirective) {
	var words []string
	directive := cobra.ShellCompDirectiveDefault
	for line := range strings.Lines(out) {
		line = strings.TrimSuffix(line, "\n")
		if n, ok := strings.CutPrefix(line, ":"); ok {
			if d, err := strconv.Atoi(n); err == nil {
				directive = cobra.ShellCompDirective(d)
			}
			continue
		}
		words = append(words, line)
	}
	return words, directive
}
