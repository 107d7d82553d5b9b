package cli

import (
	"encoding/json"
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/deckhand-engine/deckhand/internal/version"
)

// versionInfo is what `version --format json` prints.
type versionInfo struct {
	Version   string `json:"Version"`
	GoVersion string `json:"GoVersion"`
	OS        string `json:"Os"`
	Arch      string `json:"Arch"`
}

func newVersion(a *app) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "version [--format json]",
		Short: "Show the version",
		Args:  argCount(0, 0),
		RunE: func(*cobra.Command, []string) error {
			return a.runVersion(format)
		},
	}
	cmd.Flags().StringVarP(&format, "format", "f", "", "`json` for scripts")
	return cmd
}

func (a *app) runVersion(format string) error {
	switch format {
	case "":
		return a.println(versionLine())
	case formatJSON:
		return json.NewEncoder(a.out).Encode(versionInfo{version.Number(), runtime.Version(), runtime.GOOS, runtime.GOARCH})
	}
	return badFormat(format)
}

// badFormat is the error for a --format that a command does not know.
func badFormat(format string) error {
	return fmt.Errorf("unknown format %q: json is the only one here", format)
}

// formatJSON is the --format for scripts.
const formatJSON = "json"

func versionLine() string {
	return fmt.Sprintf("deckhand version %s, %s %s/%s", version.Number(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
