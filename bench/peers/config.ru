big = ("\0" * (1 << 20)).freeze
hello = nil
run lambda { |env|
  hello ||= "hello from #{Process.pid}\n"
  body = env["PATH_INFO"] == "/big" ? big : hello
  [200, { "content-type" => "text/plain", "content-length" => body.bytesize.to_s }, [body]]
}
