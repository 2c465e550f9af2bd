// A controller in Java 17, for one client: java Controller.java [--host ADDRESS] [--port N]

import java.io.*;
import java.net.*;
import java.nio.ByteBuffer;
import java.nio.channels.*;
import java.nio.charset.*;
import java.util.*;
import java.util.regex.*;

public class Controller {
    static final int LINE_LIMIT = 4096; // bytes: the bridge never sends a longer line
    static final double WATCHDOG = 0.5; // seconds: after a heartbeat, halt the arm if no valid line comes for this long
    static final double NEVER = Double.POSITIVE_INFINITY;
    // YOUR ARM: fill in these two methods. The rest can stay as it is.
    /** MOVE THE ARM HERE: to x, y, z in millimetres in its base frame, gripper "open" or "closed".
     * Start the motion and return. Do not wait for its end: the next command comes about 20 ms later and continues
     * from there. If the arm cannot do it, throw new IllegalArgumentException("out of reach: ..."). */
    static void move(double x, double y, double z, String gripper) {
        System.out.println("move x=" + x + " y=" + y + " z=" + z + " gripper=" + gripper);
    }

    /** HALT THE ARM HERE: hold its position, leave the gripper. The arm may already be at rest. */
    static void halt(String why) {
        System.out.println(why);
    }

    /** A JSON reader for this protocol, because the JDK has none. It keeps the members of one object as text. */
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
                // Skip nested values: the protocol has none.
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

    boolean heartbeats; // whether this connection has received a heartbeat
    double silence, deadline = NEVER; // allowed silence in seconds, and the time when it ends
    static double now() { return System.nanoTime() / 1e9; }
    /** Returns the reply to one line. Every line gets exactly one reply, also a bad line. */
    String replyTo(byte[] line) {
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
        boolean command = type.equals("\"command\""); // check the whole line before acting
        String types = "\"command\", \"stop\" or \"heartbeat\"";
        if (!type.matches("\"(command|stop|heartbeat)\"")) throw wrong(message, "type", types);
        if (command) for (String name : List.of("x", "y", "z")) number(message, name);
        if (command && !gripper.matches("\"(open|closed)\"")) throw wrong(message, "gripper", "\"open\" or \"closed\"");
        heartbeats |= type.equals("\"heartbeat\"");
        // Without ttl and heartbeats, silence is normal: a resting arm gets no commands.
        silence = message.containsKey("ttl") ? number(message, "ttl") / 1000 : heartbeats ? WATCHDOG : NEVER;
        deadline = now() + silence;
        if (type.equals("\"stop\"")) halt("stop");
        if (command) move(number(message, "x"), number(message, "y"), number(message, "z"), gripper.replace("\"", ""));
    }

    void serve(SocketChannel client, ServerSocketChannel server, Selector selector) throws IOException {
        client.setOption(StandardSocketOptions.TCP_NODELAY, true).configureBlocking(false); // no delay
        client.register(selector, SelectionKey.OP_READ);
        ByteBuffer bytes = ByteBuffer.allocate(1 << 17); // received, but not yet a whole line
        while (true) {
            if (now() >= deadline) halt("halt: nothing came for " + silence + " s");
            if (now() >= deadline) deadline = NEVER;
            boolean[] another = {false};
            double wait = deadline == NEVER ? 0 : Math.max(1, 1000 * (deadline - now()));
            selector.select(key -> another[0] |= key.isAcceptable(), (long) wait);
            // Read everything before obeying a line: a client that has gone must not move the arm.
            int count, start = 0;
            while ((count = client.read(bytes)) > 0) { }
            if (count < 0 || !bytes.hasRemaining()) throw new IOException("the bridge has gone, or sends too fast");
            // TCP carries bytes, not lines: one read may end within a line or a letter.
            for (int i = 0; i < bytes.position(); i++) {
                if (i - start > LINE_LIMIT) throw new IOException("a line is longer than 4096 bytes");
                if (bytes.get(i) != '\n') continue;
                ByteBuffer reply = StandardCharsets.UTF_8.encode(replyTo(Arrays.copyOfRange(bytes.array(), start, i)));
                if (client.write(reply) < reply.limit()) throw new IOException("the client does not read its replies");
                start = i + 1;
            }
            bytes.flip().position(start).compact();
            // Refuse a second client now: waiting lines could move the arm after their client left.
            String no = "{\"status\":\"error\",\"message\":\"another client is served\"}\n";
            try (SocketChannel other = another[0] ? server.accept() : null) {
                if (other != null) other.write(StandardCharsets.UTF_8.encode(no));
            } catch (IOException gone) { }
        }
    }

    public static void main(String[] arguments) throws IOException {
        Map<String, String> options = new HashMap<>(Map.of("--host", "127.0.0.1", "--port", "5000"));
        for (int i = 0; i + 1 < arguments.length; i += 2) options.put(arguments[i], arguments[i + 1]);
        Thread atEnd = new Thread(() -> { halt("halt: the controller ends"); Runtime.getRuntime().halt(0); });
        Runtime.getRuntime().addShutdownHook(atEnd); // runs on SIGINT and SIGTERM
        Selector selector = Selector.open();
        ServerSocketChannel server = ServerSocketChannel.open();
        server.bind(new InetSocketAddress(options.get("--host"), Integer.parseInt(options.get("--port"))));
        server.configureBlocking(false).register(selector, SelectionKey.OP_ACCEPT);
        System.out.println("listening on " + server.getLocalAddress().toString().substring(1));
        while (true) {
            selector.select(key -> { });
            try (SocketChannel client = server.accept()) {
                if (client != null) new Controller().serve(client, server, selector);
            } catch (IOException problem) { halt("halt: " + problem.getMessage()); }
        }
    }
}
