// An arm's controller in Java 17: one thread, one client at a time.  java Controller.java [--host ADDRESS] [--port N]

import java.io.*;
import java.net.*;
import java.nio.ByteBuffer;
import java.nio.charset.*;
import java.util.*;
import java.util.regex.*;

public class Controller {
    static final int LINE_LIMIT = 4096; // bytes: who sends a longer line is not the bridge
    static final double WATCHDOG = 0.5; // seconds of silence after which the arm is halted, once there was a heartbeat
    static final double FOREVER = Double.POSITIVE_INFINITY;

    // YOUR ARM: fill in these two methods. The rest can stay as it is.
    /** MOVE THE ARM HERE: to x, y, z in millimetres in its base frame, with the gripper "open" or "closed".
     * Begin the motion and return; do not wait for its end: the next command comes within some 20 ms, and leads on
     * from wherever the arm is. For what it cannot do, throw new IllegalArgumentException("out of reach: ..."). */
    static void move(double x, double y, double z, String gripper) {
        System.out.println("move x=" + x + " y=" + y + " z=" + z + " gripper=" + gripper);
    }

    /** HALT THE ARM HERE: where it is, with the gripper as it is. It may be at rest already. */
    static void halt(String why) {
        System.out.println(why);
    }

    /** The JDK reads no JSON; the protocol needs this much: the members of one object, as they stand in the line. */
    static final class Json {
        static final String STRING = "\"(?:[^\"\\\\\\p{Cntrl}]++|\\\\(?:[\"\\\\/bfnrt]|u\\p{XDigit}{4}))*+\"";
        static final Pattern TOKEN = Pattern.compile("\\G[ \t\r]*+(" + STRING
            + "|-?(?:0|[1-9][0-9]*+)(?:\\.[0-9]++)?(?:[eE][-+]?[0-9]++)?|true|false|null|[{}\\[\\]:,]|\\z)");
        final Map<String, String> members = new HashMap<>();
        final Matcher tokens;

        Json(String line) {
            tokens = TOKEN.matcher(line);
            expect(next().equals("{"));
            for (String token = next(), value; !token.equals("}"); ) {
                expect(token.startsWith("\"") && next().equals(":"));
                members.put(token.substring(1, token.length() - 1), value = next());
                expect(!value.matches("[}\\]:,]?"));
                // Of what is nested, and so no member of the protocol, only the end is looked for.
                for (int depth = bracket(value); depth > 0; depth += bracket(next())) { }
                expect((token = next()).matches("[,}]"));
                if (token.equals(",")) expect((token = next()).startsWith("\""));
            }
            expect(next().isEmpty());
        }

        int bracket(String token) { return token.matches("[{\\[]") ? 1 : token.matches("[}\\]]") ? -1 : 0; }
        String next() { expect(tokens.find()); return tokens.group(1); }
        void expect(boolean truth) { if (!truth) throw new IllegalArgumentException("not a JSON object"); }
    }

    static IllegalArgumentException wrong(Map<String, String> message, String name, String wanted) {
        String found = message.getOrDefault(name, "missing").replaceAll("(.{60}).*", "$1");
        return new IllegalArgumentException(name + " is " + found + "; it should be " + wanted);
    }

    static double number(Map<String, String> message, String name) {
        String text = message.getOrDefault(name, "");
        double number = text.matches("[-0-9].*") ? Double.parseDouble(text) : Double.NaN;
        if (!(Math.abs(number) <= 1e6)) throw wrong(message, name, "a number from -1e6 to 1e6");
        return number;
    }

    boolean heartbeats; // whether this connection has sent one
    double silence, deadline = FOREVER; // seconds that silence may last, and when they have passed

    static double now() { return System.nanoTime() / 1e9; }

    /** Every line is answered by one line, in order; a bad one too. */
    String answer(byte[] line) {
        String error = null, seq = "";
        try {
            String text = StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(line)).toString();
            Map<String, String> message = new Json(text).members;
            if (message.getOrDefault("seq", "").matches("[0-9]{1,18}")) seq = ",\"seq\":" + message.get("seq");
            obey(message);
        } catch (IllegalArgumentException | CharacterCodingException problem) {
            error = (problem instanceof CharacterCodingException ? "not UTF-8" : problem.getMessage()) + ", in: "
                + new String(line, 0, Math.min(line.length, 60), StandardCharsets.UTF_8);
            error = error.replaceAll("[\\\\\"]", "\\\\$0").replaceAll("\\p{Cntrl}", "?");
        }
        String verdict = error == null ? "ok\",\"message\":\"Command received" : "error\",\"message\":\"" + error;
        return "{\"status\":\"" + verdict + "\"" + seq + "}\n";
    }

    void obey(Map<String, String> message) {
        String type = message.getOrDefault("type", ""), gripper = message.getOrDefault("gripper", "");
        boolean command = type.equals("\"command\""); // everything is looked at before anything is done
        String types = "\"command\", \"stop\" or \"heartbeat\"";
        if (!type.matches("\"(command|stop|heartbeat)\"")) throw wrong(message, "type", types);
        if (command) for (String name : List.of("x", "y", "z")) number(message, name);
        if (command && !gripper.matches("\"(open|closed)\"")) throw wrong(message, "gripper", "\"open\" or \"closed\"");
        heartbeats |= type.equals("\"heartbeat\"");
        // Without ttl and heartbeats silence is no alarm: the bridge says nothing while the arm is to rest.
        silence = message.containsKey("ttl") ? number(message, "ttl") / 1000 : heartbeats ? WATCHDOG : FOREVER;
        deadline = now() + silence;
        if (type.equals("\"stop\"")) halt("stop");
        if (command) move(number(message, "x"), number(message, "y"), number(message, "z"), gripper.replace("\"", ""));
    }

    void serve(Socket client) throws IOException {
        client.setTcpNoDelay(true); // replies leave at once
        ByteArrayOutputStream line = new ByteArrayOutputStream(); // as much of it as has come
        byte[] bytes = new byte[4096];
        while (true) {
            if (now() >= deadline) {
                deadline = FOREVER;
                halt("halt: nothing came for " + silence + " s");
            }
            client.setSoTimeout(deadline == FOREVER ? 0 : (int) Math.max(1, 1000 * (deadline - now())));
            int count = 0;
            try {
                count = client.getInputStream().read(bytes);
            } catch (SocketTimeoutException silent) { } // nothing was read
            if (count < 0) throw new IOException("the bridge has gone");
            // TCP carries bytes, not lines: one read may bring half a line, or three, or half a letter.
            for (int i = 0; i < count; i++) {
                if (bytes[i] != '\n') {
                    line.write(bytes[i]);
                    if (line.size() > LINE_LIMIT) throw new IOException("a line is longer than 4096 bytes");
                    continue;
                }
                client.getOutputStream().write(answer(line.toByteArray()).getBytes(StandardCharsets.UTF_8));
                line.reset();
            }
        }
    }

    public static void main(String[] arguments) throws IOException {
        Map<String, String> options = new HashMap<>(Map.of("--host", "127.0.0.1", "--port", "5000"));
        for (int i = 0; i + 1 < arguments.length; i += 2) options.put(arguments[i], arguments[i + 1]);
        Thread atEnd = new Thread(() -> { halt("halt: the controller ends"); Runtime.getRuntime().halt(0); });
        Runtime.getRuntime().addShutdownHook(atEnd); // where SIGINT and SIGTERM lead
        InetAddress host = InetAddress.getByName(options.get("--host"));
        ServerSocket server = new ServerSocket(Integer.parseInt(options.get("--port")), 1, host);
        System.out.println("listening on " + host.getHostAddress() + ":" + server.getLocalPort());
        while (true) {
            try (Socket client = server.accept()) {
                new Controller().serve(client);
            } catch (IOException problem) {
                halt("halt: " + problem.getMessage());
            }
        }
    }
}
