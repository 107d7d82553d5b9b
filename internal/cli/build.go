package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/deckhand-engine/deckhand/internal/linux/mountns"
	"github.com/deckhand-engine/deckhand/internal/linux/rootless"
	"github.com/deckhand-engine/deckhand/internal/ui"
	"github.com/deckhand-engine/deckhand/internal/unchanged"
)

// buildProgram holds the Dockerfile front end; it is a program of its own because its packages cost
// every start three milliseconds.
const buildProgram = "deckhand-build"

func newBuild(a *app) *cobra.Command {
	return &cobra.Command{
		Use:                "build [OPTIONS] PATH",
		Short:              "Build an image from a Dockerfile",
		DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.build(cmd.Context(), args)
		},
		ValidArgsFunction: a.completeBuild,
	}
}

// build repeats what a build with nothing to do printed, or else leaves it to deckhand-build.
func (a *app) build(ctx context.Context, args []string) error {
	path, err := findBuildProgram()
	if err != nil {
		return err
	}
	argv := append([]string{buildProgram}, a.globalFlags()...)
	argv = append(argv, args...)
	if rec := a.unchangedBuild(ctx, path, argv[1:]); rec != nil {
		_, outErr := io.WriteString(a.out, rec.Stdout)
		_, err := io.WriteString(a.err, rec.Stderr)
		return errors.Join(outErr, err)
	}
	return execBuild(path, argv)
}

// unchangedBuild is the record of a build that would find everything as it was, or nil.
func (a *app) unchangedBuild(ctx context.Context, path string, args []string) *unchanged.Record {
	if ui.IsTerminal(a.err) {
		return nil
	}
	root, err := a.root()
	if err != nil {
		return nil
	}
	dir, err := os.Getwd()
	if err != nil {
		return nil
	}
	c := unchanged.Command{Root: root, Program: path, Args: args, Dir: dir, Env: os.Environ()}
	if !c.Known() {
		return nil
	}
	s, err := a.outerStore(ctx)
	if err != nil {
		return nil
	}
	rec, _ := c.Find(ctx, s)
	return rec
}

// execBuild replaces this process by deckhand-build. Root's build wants a mount namespace of its own and would
// have to start itself again to get one, so it is started in one.
func execBuild(path string, argv []string) error {
	if os.Geteuid() == 0 && !rootless.Inside() {
		if err := mountns.Exec(path, argv, os.Environ()); !errors.Is(err, syscall.EPERM) {
			return err
		}
	}
	if err := syscall.Exec(path, argv, os.Environ()); err != nil {
		return fmt.Errorf("start %s: %w", path, err)
	}
	return nil
}

// globalFlags are the global flags given before the command's name.
func (a *app) globalFlags() []string {
	var f []string
	if a.dataRoot != "" {
		f = append(f, "--data-root", a.dataRoot)
	}
	if a.debug {
		f = append(f, "--debug")
	}
	return f
}

// findBuildProgram looks beside this executable, then in PATH.
func findBuildProgram() (string, error) {
	if self, err := os.Executable(); err == nil {
		p := filepath.Join(filepath.Dir(self), buildProgram)
		if st, err := os.Stat(p); err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0 {
			return p, nil
		}
	}
	p, err := exec.LookPath(buildProgram)
	if errors.Is(err, exec.ErrNotFound) {
		return "", withHint(fmt.Errorf("%s is neither beside this program nor in PATH", buildProgram),
			"install it:  go install github.com/deckhand-engine/deckhand/cmd/deckhand-build@latest")
	}
	return p, err
}

// completeBuild asks deckhand-build, which alone knows its flags.
func (a *app) completeBuild(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	path, err := findBuildProgram()
	if err != nil {
		return nil, cobra.ShellCompDirectiveDefault
	}
	c := exec.CommandContext(cmd.Context(), path, append(append([]string{cobra.ShellCompRequestCmd}, args...), toComplete)...)
	out, err := c.Output()
	if err != nil {
		return nil, cobra.ShellCompDirectiveDefault
	}
	return parseCompletions(string(out))
}
