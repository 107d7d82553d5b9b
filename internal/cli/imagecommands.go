package cli

// imageCommands lists the commands that work on images.
func imageCommands() []entry {
	return nil
}
