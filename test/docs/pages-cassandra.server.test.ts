import { type CassandraServer, startCassandra, startScylladb } from "../servers/cassandra.ts";
import { describeWith } from "../servers/require.ts";
import { runPages, type Stage } from "./run-pages.ts";

function cqlStage(server: CassandraServer, plant: string): Stage {
  const { username, password } = server;
  return {
    ...server,
    ...(username === null ? {} : { login: `${username}:${encodeURIComponent(password ?? "")}@` }),
    names: { plant },
    async client(input) {
      const text = "text" in input ? input.text.replaceAll(/^--.*$/gm, "") : /--execute "(.*)"$/.exec(input.typed)![1]!;
      const statements = text.split(/;\n|;$/).filter((statement) => statement.trim() !== "");
      for (const statement of statements) await server.run(statement);
    },
  };
}

for (const [name, start] of Object.entries({ cassandra: startCassandra, scylladb: startScylladb })) {
  await describeWith(start, `pages for ${name}`, (server) => {
    // The server is shared: the keyspace of the page gets a name that no other test has.
    const plant = `${server.keyspace}_plant`;
    const last = (): Promise<unknown> => server.run(`DROP KEYSPACE IF EXISTS ${plant}`);
    runPages(name, cqlStage(server, plant), { last });
  });
}
