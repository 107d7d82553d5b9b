package checkcmd

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/check"
	"github.com/deckhand-engine/deckhand/guard/report"
	"github.com/deckhand-engine/deckhand/guard/rules"
)

// options are the flags.
type options struct {
	texts check.Texts // nil: there are images only
	argv  []string    // as the program was given them

	dataRoot string
	debug    bool

	format, output string
	color          string
	quiet          bool
	failOn         string

	kind      string
	skip      bool
	target    string
	buildArgs []string
	platform  string
	offline   bool
	layers    bool
	tlsVerify bool

	policy        string
	noPolicy      bool
	baseline      string
	writeBaseline string
	leastUID      uint32
	podSecurity   string

	fix, diff bool
	explain   string
	rules     bool
	jobs      int
}

func newCheck(std files, o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check [OPTIONS] [PATH|IMAGE|CONTAINER|-]...",
		Short: "Find what will run as root, and what else it should not be allowed",
		Long: `Find what will run as root, and what else it should not be allowed.

Each argument is a Dockerfile, a directory (searched, what git ignores left out), a compose file, Kubernetes manifests,
a Quadlet or systemd unit, an image, a container, or - for standard input. Without one it is the current directory.
Images are looked for in the store, then in their registry: manifest and config only. Elsewhere:
  docker://REF  docker-archive:FILE[:REF]  oci:DIR[:TAG]  oci-archive:FILE  containers-storage:REF  container:NAME

Exit status: 0 nothing at or above --fail-on, 3 there is, 1 something could not be checked, 125 wrong usage, 130 interrupted.`,
		Example: `  deckhand check
  deckhand check Dockerfile compose.yaml redis:7
  helm template ./chart | deckhand check -
  deckhand check --format sarif --output deckhand.sarif .
  deckhand check --explain DH001`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.run(cmd.Context(), std, args)
		},
		DisableFlagsInUseLine: true,
		DisableAutoGenTag:     true,
	}
	o.addFlags(cmd.Flags())
	for name, values := range map[string][]string{
		"format": report.Formats(), "fail-on": severities(), "color": colors(),
		"kind": kinds(), "pod-security": podSecurityLevels(),
	} {
		// The error is for a flag that does not exist; these do.
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	}
	_ = cmd.RegisterFlagCompletionFunc("explain", completeRules) // likewise
	for _, name := range []string{"target", "build-arg", "platform", "least-uid", "jobs"} {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions) // likewise
	}
	return cmd
}

func completeRules(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var ids []cobra.Completion
	for _, r := range rules.All() {
		ids = append(ids, cobra.CompletionWithDesc(r.ID, r.Name))
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
}

func (o *options) addFlags(f *pflag.FlagSet) {
	f.StringVar(&o.format, "format", report.FormatText, "how findings are written: `FORMAT` is "+strings.Join(report.Formats(), ", "))
	f.StringVarP(&o.output, "output", "o", "", "write them to `FILE` instead of standard output")
	f.StringVar(&o.color, "color", "auto", "colours in text: `WHEN` is auto, always or never")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "no findings, only the exit status")
	f.StringVar(&o.failOn, "fail-on", "", "the least `SEVERITY` that makes the check fail: info, warning (the default), error, or off")

	f.StringVar(&o.kind, "kind", "", "what the files named, or standard input, are: `KIND` is "+strings.Join(kinds(), ", "))
	f.BoolVar(&o.skip, "skip-unknown", false, "leave out files named that are nothing to check, or that the policy excludes")
	f.StringVar(&o.target, "target", "", "the `STAGE` of a Dockerfile that is built (default: the last)")
	f.StringArrayVar(&o.buildArgs, "build-arg", nil, "the value of an ARG: `NAME=VALUE`, or NAME for the value it has in the environment")
	f.StringVar(&o.platform, "platform", "", "look at images for `OS/ARCH[/VARIANT]` (default: this machine's)")
	f.BoolVar(&o.offline, "offline", false, "ask no registry: an image that is not in the store is unknown")
	f.BoolVar(&o.layers, "layers", false, "look into the layers of images in registries too: downloads them")
	f.BoolVar(&o.tlsVerify, "tls-verify", true, "false: accept http and unknown certificates of registries")

	f.StringVar(&o.policy, "policy", "", "the policy `FILE` (default: the nearest deckhand.yaml upwards of the first argument)")
	f.BoolVar(&o.noPolicy, "no-policy", false, "look for no deckhand.yaml")
	f.StringVar(&o.baseline, "baseline", "", "report only what is not in this `FILE`, written by --write-baseline")
	f.StringVar(&o.writeBaseline, "write-baseline", "", "write all that is found to `FILE`, to report only what is new from now on")
	f.Uint32Var(&o.leastUID, "least-uid", 0, "uids below this `UID` are the system's (default 500)")
	f.StringVar(&o.podSecurity, "pod-security", "", "the `LEVEL` of Kubernetes' Pod Security Standards to hold manifests to: privileged, baseline or restricted (the default)")

	f.BoolVar(&o.fix, "fix", false, "make the changes that cannot break anything, and show them")
	f.BoolVar(&o.diff, "diff", false, "show what --fix would change, and change nothing")
	f.StringVar(&o.explain, "explain", "", "explain a `RULE` (DH001) and exit")
	f.BoolVar(&o.rules, "rules", false, "list the rules and exit")
	f.IntVarP(&o.jobs, "jobs", "j", 0, "documents to check at once (default: as many as there are processors)")
}

// check refuses values that do not exist and flags that contradict each other.
func (o *options) check() error {
	for _, f := range []struct {
		name, value string
		known       []string
	}{
		{"format", o.format, report.Formats()},
		{"kind", o.kind, kinds()},
		{"fail-on", o.failOn, severities()},
		{"pod-security", o.podSecurity, podSecurityLevels()},
		{"color", o.color, colors()},
	} {
		if f.value != "" && !slices.Contains(f.known, f.value) {
			return fmt.Errorf("--%s %s: there are %s", f.name, f.value, strings.Join(f.known, ", "))
		}
	}
	for _, a := range o.buildArgs {
		if name, _, _ := strings.Cut(a, "="); name == "" {
			return fmt.Errorf("--build-arg %q has no name: write NAME=VALUE", a)
		}
	}
	return o.contradiction()
}

// contradiction says which flags do not go together.
func (o *options) contradiction() error {
	switch {
	case o.noPolicy && o.policy != "":
		return errors.New("--policy and --no-policy contradict each other")
	case o.offline && o.layers:
		return errors.New("--layers downloads, and --offline forbids it")
	case o.writeBaseline != "" && (o.fix || o.diff):
		return errors.New("--write-baseline goes with neither --fix nor --diff: fix first")
	case o.writeBaseline == "-":
		return errors.New("--write-baseline wants a file: standard output is for the findings")
	case o.jobs < 0:
		return errors.New("--jobs is a positive number")
	}
	return nil
}

func colors() []string { return []string{"auto", "always", "never"} }

func severities() []string { return []string{"off", "info", "warning", "error"} }

func podSecurityLevels() []string { return []string{"privileged", "baseline", "restricted"} }

func kinds() []string {
	var names []string
	for _, k := range check.TextKinds() {
		names = append(names, string(k))
	}
	return names
}

// textKind is --kind.
func (o *options) textKind() guard.Kind { return guard.Kind(o.kind) }
