// Package daemon takes the program into the background and brings back word of
// how its start went.
//
// Go cannot fork and go on, so Launch runs the same binary again in a session of
// its own and waits for one word through a pipe: that the first workers are
// ready, or why they never will be. What runs in the background is the real
// process: no third one stays between it and the launcher, and the launcher
// never says that all is well before it is.
package daemon
