package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/deckhand-engine/deckhand/internal/hint"
)

// entry is one command: its name and how to make it. Commands are made only when addressed, so that
// starting a container does not pay for the flags of the others.
type entry struct {
	name  string
	group string
	make  func(*app) *cobra.Command
}

// command makes the command.
func (e entry) command(a *app) *cobra.Command {
	cmd := e.make(a)
	cmd.DisableFlagsInUseLine = true // "[OPTIONS]" says it
	return cmd
}

// Groups of the help page, as docker's.
const (
	groupCommon     = "common"
	groupContainers = "containers"
	groupImages     = "images"
	groupVolumes    = "volumes"
	groupOther      = "other"
)

// commands lists every command.
func commands() []entry {
	own := []entry{
		{"run", groupCommon, newRun},
		{"exec", groupCommon, newExec},
		{"ps", groupCommon, newPs},
		{"build", groupCommon, newBuild},
		{"check", groupCommon, newCheck},
		{"harden", groupCommon, newHarden},
		{"probe", groupCommon, newProbe},
		{"version", groupCommon, newVersion},
		{"info", groupCommon, newInfo},
		{"logs", groupContainers, newLogs},
		{"start", groupContainers, newStart},
		{"stop", groupContainers, newStop},
		{"kill", groupContainers, newKill},
		{"wait", groupContainers, newWait},
		{"rm", groupContainers, newRm},
		{"lsp", groupOther, newLsp},
		{"oci", groupOther, newOci},
	}
	return slices.Concat(own, imageCommands(), volumeCommands())
}

// execute runs one command line (without the program's name).
func (a *app) execute(ctx context.Context, args []string) error {
	root := a.rootCommand(addressed(args))
	root.SetArgs(args)
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	return root.ExecuteContext(ctx)
}

// addressed is the command that args name, empty when only the whole tree can tell.
func addressed(args []string) string {
	for i := 0; i < len(args); i++ {
		switch s := args[i]; {
		case s == "--data-root" || s == "--root-user":
			i++
		case strings.HasPrefix(s, "-"):
		default:
			return s
		}
	}
	return ""
}

// rootCommand makes the root command with the named sub-command, or with all of them if there is no such.
func (a *app) rootCommand(name string) *cobra.Command {
	root := &cobra.Command{
		Use:           "deckhand",
		Short:         "Build, keep and run containers that never get root by accident",
		SilenceErrors: true,
		SilenceUsage:  true,

		SuggestionsMinimumDistance: 2,
		Args:                       cobra.ArbitraryArgs,
		RunE:                       func(cmd *cobra.Command, args []string) error { return runRoot(cmd, args) },
	}
	root.SetFlagErrorFunc(usageError)
	f := root.PersistentFlags()
	f.StringVar(&a.dataRoot, "data-root", "", "`directory` of images and containers (DECKHAND_DATA_ROOT)")
	f.StringVar(&a.rootUser, "root-user", "", "`policy` for containers that would run as root unasked: allow, warn or refuse (DECKHAND_ROOT_USER)")
	f.BoolVarP(&a.debug, "debug", "D", false, "print what is done, on stderr")
	root.Flags().BoolP("version", "v", false, "print the version")
	all := commands()
	if i := slices.IndexFunc(all, func(e entry) bool { return e.name == name }); i >= 0 {
		root.CompletionOptions.DisableDefaultCmd = true
		root.SetHelpCommand(&cobra.Command{Hidden: true})
		root.AddCommand(all[i].command(a))
		return root
	}
	addGroups(root)
	for _, e := range all {
		cmd := e.command(a)
		cmd.GroupID = e.group
		root.AddCommand(cmd)
	}
	return root
}

func addGroups(root *cobra.Command) {
	root.AddGroup(
		&cobra.Group{ID: groupCommon, Title: "Common commands:"},
		&cobra.Group{ID: groupContainers, Title: "Containers:"},
		&cobra.Group{ID: groupImages, Title: "Images:"},
		&cobra.Group{ID: groupVolumes, Title: "Volumes:"},
		&cobra.Group{ID: groupOther, Title: "Other commands:"},
	)
	root.SetHelpCommandGroupID(groupOther)
	root.SetCompletionCommandGroupID(groupOther)
}

// runRoot serves deckhand without a command.
func runRoot(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		err := fmt.Errorf("unknown command: deckhand %s", args[0])
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			return hint.With(err, "did you mean:  deckhand "+near[0])
		}
		return hint.With(err, "all commands:  deckhand --help")
	}
	if v, err := cmd.Flags().GetBool("version"); err == nil && v {
		_, err := fmt.Fprintln(cmd.OutOrStdout(), versionLine())
		return err
	}
	return cmd.Help()
}

// usageError is an error in the command line itself: with where to look, and docker's exit codes.
func usageError(cmd *cobra.Command, err error) error {
	code := exitFailure
	if cmd.Name() == "run" || cmd.Name() == "exec" {
		code = exitEngine
	}
	return &codeError{code: code, err: withUsage(cmd, notThereYet(cmd, err))}
}

// notThereYet tells a flag of docker's that is missing here from one that nobody knows.
func notThereYet(cmd *cobra.Command, err error) error {
	name, unknown := strings.CutPrefix(err.Error(), "unknown flag: --")
	if !unknown || cmd.Name() != "run" || !slices.Contains(dockerRunFlags(), name) {
		return err
	}
	return fmt.Errorf("--%s is not there yet: %w", name, err)
}

// dockerRunFlags are docker run's flags that run does not have.
func dockerRunFlags() []string {
	return strings.Fields(`annotation attach cpu-count cpu-percent device-cgroup-rule disable-content-trust
		domainname expose gpus health-cmd health-interval health-retries health-start-interval health-start-period
		health-timeout isolation label-file link link-local-ip log-driver log-opt mount network-alias no-healthcheck
		platform publish-all quiet restart runtime storage-opt volume-driver volumes-from`)
}

func withUsage(cmd *cobra.Command, err error) error {
	return hint.With(err, "its flags:  "+cmd.CommandPath()+" --help")
}

// argCount checks the number of arguments in docker's words; most < 0 means any number.
func argCount(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) >= least && (most < 0 || len(args) <= most) {
			return nil
		}
		bound, n := "at least", least
		switch {
		case least == most:
			bound = "exactly"
		case len(args) > most && most >= 0:
			bound, n = "at most", most
		}
		s := "s"
		if n == 1 {
			s = ""
		}
		return withUsage(cmd, fmt.Errorf("'%s' requires %s %d argument%s", cmd.CommandPath(), bound, n, s))
	}
}
