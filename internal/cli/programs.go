package cli

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"
)

// findProgram finds one of deckhand's other programs: beside this executable, then in PATH.
func findProgram(name string) (string, error) {
	if self, err := os.Executable(); err == nil {
		p := filepath.Join(filepath.Dir(self), name)
		if st, err := os.Stat(p); err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0 {
			return p, nil
		}
	}
	p, err := exec.LookPath(name)
	if errors.Is(err, exec.ErrNotFound) {
		return "", withHint(fmt.Errorf("%s is neither beside this program nor in PATH", name),
			"install it:  go install github.com/deckhand-engine/deckhand/cmd/"+name+"@latest")
	}
	return p, err
}

// execProgram replaces this process by another program.
func execProgram(path string, argv []string) error {
	if err := syscall.Exec(path, argv, os.Environ()); err != nil {
		return fmt.Errorf("start %s: %w", path, err)
	}
	return nil
}

// completeBy asks another program, which alone knows its flags. before are arguments that come first.
func completeBy(name string, before ...string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		path, err := findProgram(name)
		if err != nil {
			return nil, cobra.ShellCompDirectiveDefault
		}
		argv := append([]string{cobra.ShellCompRequestCmd}, before...)
		argv = append(append(argv, args...), toComplete)
		out, err := exec.CommandContext(cmd.Context(), path, argv...).Output()
		if err != nil {
			return nil, cobra.ShellCompDirectiveDefault
		}
		return parseCompletions(string(out))
	}
}

// byProgram is a command that another of deckhand's programs has under the same name.
func (a *app) byProgram(program, use, short string) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, DisableFlagParsing: true}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		path, err := findProgram(program)
		if err != nil {
			return err
		}
		argv := append([]string{program}, a.globalFlags()...)
		return execProgram(path, append(append(argv, cmd.Name()), args...))
	}
	cmd.ValidArgsFunction = completeBy(program, cmd.Name())
	return cmd
}
