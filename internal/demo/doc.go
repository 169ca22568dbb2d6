// Package demo is the application that fugue-http runs when app.demo is set: a
// page to look at, and routes that misbehave in every way that fugue watches
// for, so that one can see what happens.
//
// /stuck and /crash do harm on a GET. That is on purpose: they are to be tried
// from a browser. Do not offer the demonstration to the internet: whoever can
// reach it can kill its workers. It shows the names of environment variables but
// only harmless values, and changes nothing outside its own process.
//
// It holds no state. A stuck request stays stuck until its process ends.
package demo
