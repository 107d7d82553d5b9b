package dockerfile_test

import (
	"fmt"

	"github.com/deckhand-engine/deckhand/dockerfile"
)

func ExampleFile_ArgRange() {
	f, err := dockerfile.Parse([]byte("FROM alpine\nUSER \\\n  root\n"))
	if err != nil {
		return
	}
	user := &f.Stages[0].Instructions[0]
	r := f.ArgRange(user, 0)
	fmt.Printf("%d:%d %s\n", r.Start.Line, r.Start.Column, r.In(f.Source))
	// Output: 3:3 root
}
