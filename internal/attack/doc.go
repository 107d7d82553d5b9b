// Package attack shows that the tests of what an engine is attacked with can fail: each runs once more
// against a build that lacks its defence, and must find the attack successful there.
//
// A weakened build is made by go's -overlay: a source file with one place changed takes the file's
// part. Nothing in the programs themselves can switch a defence off. Where a place is not found any
// more, the test says so: whoever moved a defence moves its entry here.
package attack
