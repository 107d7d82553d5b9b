package cli

import (
	"os/exec"

	"github.com/spf13/cobra"

	"github.com/deckhand-engine/deckhand/internal/programs"
)

// completeBy asks another program, which alone knows its flags. before are arguments that come first.
func completeBy(name string, before ...string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		path, err := programs.Find(name)
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

// become has another program do the command.
func (a *app) become(program, command string, args []string) error {
	path, err := programs.Find(program)
	if err != nil {
		return err
	}
	argv := append([]string{program}, a.globalFlags()...)
	return programs.Become(path, append(append(argv, command), args...))
}

// byProgram is a command that another of deckhand's programs has under the same name.
func (a *app) byProgram(program, use, short string) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, DisableFlagParsing: true}
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return a.become(program, cmd.Name(), args) }
	cmd.ValidArgsFunction = completeBy(program, cmd.Name())
	return cmd
}
