package cli

import "github.com/spf13/cobra"

// newImage is docker's other way to the image commands: "image ls" for "images", "image rm" for "rmi".
func newImage(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "image COMMAND",
		Short: "The commands on images under docker's longer names: image ls, image rm, …",
		RunE:  groupHelp,
	}
	list, remove, inspect := newImages(a), newRmi(a), newInspect(a)
	list.Use = "ls [OPTIONS] [REPOSITORY[:TAG]]"
	list.Aliases = []string{"list"}
	remove.Use = "rm [OPTIONS] IMAGE..."
	remove.Aliases = []string{"remove"}
	if f := inspect.Flags().Lookup("type"); f != nil {
		f.DefValue, f.Hidden = typeImage, true
		_ = f.Value.Set(typeImage) // a string takes any value
	}
	cmd.AddCommand(newBuild(a), newHistory(a), newImport(a), inspect, newLoad(a), list, newPull(a), newPush(a), remove, newSave(a), newTag(a))
	return cmd
}

// groupHelp serves a group of commands without one of them.
func groupHelp(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError(cmd, &namedError{text: "unknown command: " + cmd.CommandPath() + " " + args[0]})
	}
	return cmd.Help()
}
