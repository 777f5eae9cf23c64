(* Burns 8.4, 4.2 and 1.4 ms of CPU time a request, times a random 0.5 to 1.5. The process has one
   thread, whose time Sys.time is. *)

let sink = ref 0

let[@inline never] burn_sixty scale =
  let until = Sys.time () +. 0.0084 *. scale in
  while Sys.time () < until do
    for i = 0 to 20000 do sink := (!sink * 1103515245 + 12345) lxor i done
  done

let[@inline never] burn_thirty scale =
  let until = Sys.time () +. 0.0042 *. scale in
  while Sys.time () < until do
    for i = 0 to 20000 do sink := (!sink * 1103515245 + 12345) lxor i done
  done

let[@inline never] burn_ten scale =
  let until = Sys.time () +. 0.0014 *. scale in
  while Sys.time () < until do
    for i = 0 to 20000 do sink := (!sink * 1103515245 + 12345) lxor i done
  done

let answer = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"

(* A request without a body is whole at its empty line. *)
let whole data =
  let length = String.length data in
  length >= 4 && String.sub data (length - 4) 4 = "\r\n\r\n"

let serve sockets socket =
  let buffer = Bytes.create 65536 in
  let count = try Unix.read socket buffer 0 65536 with Unix.Unix_error _ -> 0 in
  if count = 0 then (Unix.close socket; Hashtbl.remove sockets socket)
  else begin
    let data = Hashtbl.find sockets socket ^ Bytes.sub_string buffer 0 count in
    if whole data then begin
      let scale = 0.5 +. Random.float 1.0 in
      burn_sixty scale;
      burn_thirty scale;
      burn_ten scale;
      Hashtbl.replace sockets socket "";
      try ignore (Unix.write_substring socket answer 0 (String.length answer))
      with Unix.Unix_error _ -> (Unix.close socket; Hashtbl.remove sockets socket)
    end
    else Hashtbl.replace sockets socket data
  end

let () =
  Sys.set_signal Sys.sigpipe Sys.Signal_ignore;
  let listening = Unix.socket Unix.PF_INET Unix.SOCK_STREAM 0 in
  Unix.setsockopt listening Unix.SO_REUSEADDR true;
  let port = int_of_string Sys.argv.(1) in
  Unix.bind listening (Unix.ADDR_INET (Unix.inet_addr_loopback, port));
  Unix.listen listening 128;
  let sockets = Hashtbl.create 64 in
  while true do
    let open_sockets = Hashtbl.fold (fun socket _ rest -> socket :: rest) sockets [] in
    let ready, _, _ = Unix.select (listening :: open_sockets) [] [] (-1.0) in
    List.iter
      (fun socket ->
        if socket = listening then begin
          let accepted, _ = Unix.accept listening in
          Unix.setsockopt accepted Unix.TCP_NODELAY true;
          Hashtbl.replace sockets accepted ""
        end
        else serve sockets socket)
      ready
  done
