package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/spf13/cobra"

	"github.com/deckhand-engine/deckhand/internal/bundle"
	"github.com/deckhand-engine/deckhand/internal/hint"
	"github.com/deckhand-engine/deckhand/internal/linux/rootless"
)

// ociName is the name under which this program is "deckhand oci": whoever starts a runtime by its path alone,
// as podman does, is given a link of that name.
const ociName = "deckhand-oci"

// newOci only hands over: the runtime's command line is runc's, whose flags are not ours.
func newOci(a *app) *cobra.Command {
	return &cobra.Command{
		Use:                "oci [OPTIONS] COMMAND",
		Short:              "Run OCI bundles, with runc's command line",
		DisableFlagParsing: true,
		RunE:               func(cmd *cobra.Command, args []string) error { return a.oci(cmd.Context(), args) },
	}
}

// ociApp is what the runtime's commands share: its global flags.
type ociApp struct {
	*app
	root, logPath, logFormat, rootless string
	systemdCgroup, debug               bool
	name                               string // of the command, once it runs
}

// ociCommands are the runtime's commands.
func ociCommands() []ociEntry {
	return []ociEntry{
		{"create", newOciCreate},
		{"start", newOciStart},
		{"run", newOciRun},
		{"exec", newOciExec},
		{"state", newOciState},
		{"kill", newOciKill},
		{"delete", newOciDelete},
		{"list", newOciList},
		{"ps", newOciPs},
		{"pause", newOciPause},
		{"resume", newOciResume},
		{"update", newOciUpdate},
		{"features", newOciFeatures},
		{"spec", newOciSpec},
		{"checkpoint", newOciRefused("checkpoint", "the state of a process cannot be written to disk by this runtime; crun and runc can, with CRIU")},
		{"restore", newOciRefused("restore", "the state of a process cannot be read from disk by this runtime; crun and runc can, with CRIU")},
		{"events", newOciRefused("events", "statistics are in the container's cgroup, whose files containerd and podman read themselves")},
	}
}

// ociEntry is one command and how to make it: only the one that is addressed is made.
type ociEntry struct {
	name string
	make func(*ociApp) *cobra.Command
}

// oci runs one command line of the runtime, without the program's name. It prints its error itself.
func (a *app) oci(ctx context.Context, args []string) error {
	o := &ociApp{app: a}
	root := o.command(args)
	root.SetArgs(args)
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	return o.report(root.ExecuteContext(ctx))
}

// command makes the root command with the addressed command, or with all where none is known.
func (o *ociApp) command(args []string) *cobra.Command {
	root := &cobra.Command{
		Use:              "deckhand oci",
		Short:            "Run OCI bundles, with runc's command line",
		Long:             "Run OCI bundles, with runc's command line. Linked to as " + ociName + ", the program is this command.",
		SilenceErrors:    true,
		SilenceUsage:     true,
		TraverseChildren: true,
		Args:             cobra.ArbitraryArgs,
		RunE:             o.runRoot,
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetHelpCommand(&cobra.Command{Hidden: true})
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return withUsage(cmd, err) })
	o.addFlags(root)
	all := ociCommands()
	first := firstWord(args)
	if i := slices.IndexFunc(all, func(e ociEntry) bool { return e.name == first }); i >= 0 {
		all = all[i : i+1]
	}
	for _, e := range all {
		cmd := e.make(o)
		cmd.DisableFlagsInUseLine = true
		cmd.PreRunE = func(*cobra.Command, []string) error { o.name = e.name; return o.check() }
		root.AddCommand(cmd)
	}
	return root
}

func (o *ociApp) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.root, "root", "", "`directory` of the containers' state (default /run/deckhand/oci; rootless: below XDG_RUNTIME_DIR)")
	f.StringVar(&o.logPath, "log", "", "`file` that errors are written to as well")
	f.StringVar(&o.logFormat, "log-format", "text", "its `format`: text or json")
	f.BoolVar(&o.debug, "debug", false, "write what is done to the log, or to stderr")
	f.BoolVar(&o.systemdCgroup, "systemd-cgroup", false, "have systemd make the cgroups (cgroupsPath is slice:prefix:name)")
	f.StringVar(&o.rootless, "rootless", "auto", "`whether` to give up what only root can do: true, false or auto")
	f.BoolP("version", "v", false, "print the version")
}

// firstWord is the first argument that is neither a global flag nor its value.
func firstWord(args []string) string {
	for i := 0; i < len(args); i++ {
		switch s := args[i]; {
		case slices.Contains([]string{"--root", "--log", "--log-format", "--rootless"}, s):
			i++
		case s == "" || s[0] != '-':
			return s
		}
	}
	return ""
}

// runRoot serves the runtime without a command.
func (o *ociApp) runRoot(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return hint.With(fmt.Errorf("unknown command: deckhand oci %s", args[0]), "all commands:  deckhand oci --help")
	}
	if v, err := cmd.Flags().GetBool("version"); err == nil && v {
		_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s\nspec: %s\n", versionLine(), specs.Version)
		return err
	}
	return cmd.Help()
}

// check refuses global flags that cannot be obeyed.
func (o *ociApp) check() error {
	switch {
	case o.logFormat != "text" && o.logFormat != "json":
		return fmt.Errorf("--log-format %q: text and json are known", o.logFormat)
	case !slices.Contains([]string{"true", "false", "auto", "1", "0", ""}, o.rootless):
		return fmt.Errorf("--rootless %q: true, false and auto are known", o.rootless)
	case o.rootless == "false" && o.isRootless():
		return errors.New("--rootless=false: this is not the machine's root")
	}
	if o.systemdCgroup {
		return o.checkSystemd()
	}
	return nil
}

// checkSystemd: sd_booted(3), and what we have of it.
func (o *ociApp) checkSystemd() error {
	err := errors.New("--systemd-cgroup: systemd does not run on this machine")
	if _, statErr := os.Lstat("/run/systemd/system"); statErr == nil {
		err = errors.New("--systemd-cgroup: cgroups are made by writing to the cgroup file system, not by asking systemd")
	}
	return hint.With(err,
		"podman:      --cgroup-manager=cgroupfs",
		"containerd:  SystemdCgroup = false in its config.toml",
		"docker:      --exec-opt native.cgroupdriver=cgroupfs")
}

func (o *ociApp) isRootless() bool { return os.Geteuid() != 0 || rootless.Inside() }

// outerID is the variable that tells the program, executed again in an ordinary user's namespace, whose it is.
const outerID = "DECKHAND_OCI_OUTER"

// enter has an ordinary user become root of his own user namespace, to make a container. What is done with one later
// is done from outside, where he is the owner of that namespace: entered again, it would be another one.
func (o *ociApp) enter() error {
	if os.Geteuid() == 0 {
		return nil
	}
	if err := os.Setenv(outerID, "1"); err != nil {
		return err
	}
	return rootless.Enter()
}

// entered reports, once, whether enter has been here before.
func entered() bool {
	_, ok := os.LookupEnv(outerID)
	_ = os.Unsetenv(outerID) // of no use to anybody else
	return ok
}

// containers is the root directory of all containers.
func (o *ociApp) containers() (*bundle.Root, error) {
	dir := o.root
	if dir == "" {
		dir = bundle.DefaultDir(o.isRootless())
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("find --root: %w", err)
	}
	return &bundle.Root{Dir: dir, Now: o.now, Warn: func(err error) { o.log("warning", err.Error()) }}, nil
}

// open finds the container that a command is about.
func (o *ociApp) open(id string) (*bundle.Container, error) {
	r, err := o.containers()
	if err != nil {
		return nil, err
	}
	return r.Open(id)
}

// newOciRefused makes a command of runc's that there is no way to carry out.
func newOciRefused(name, why string) func(*ociApp) *cobra.Command {
	return func(*ociApp) *cobra.Command {
		return &cobra.Command{
			Use:                name,
			Short:              "Not supported",
			Hidden:             true,
			DisableFlagParsing: true,
			RunE:               func(*cobra.Command, []string) error { return fmt.Errorf("%s is not supported: %s", name, why) },
		}
	}
}

// oneID checks that a command was given a container's id.
func oneID(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return withUsage(cmd, bundle.ErrNoID)
	case len(args) > 1:
		return withUsage(cmd, fmt.Errorf("%s takes one container ID, not %d arguments", cmd.Name(), len(args)))
	}
	return nil
}
