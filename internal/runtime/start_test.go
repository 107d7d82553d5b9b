package runtime

import "testing"

func TestStart(t *testing.T) {
	newBox(t, "guest", "echo", "ahoy").want("ahoy")
}
