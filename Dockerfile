# headwaters as a container: docker run --rm --read-only --tmpfs /tmp -v "$PWD:/data" IMAGE sync
# Files of connections, warehouses and records are in /data. DuckDB's binaries need glibc, so the base is Debian's.
FROM node:22-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts
COPY . .
RUN node scripts/build.mjs

FROM node:22-bookworm-slim
WORKDIR /app
COPY package.json package-lock.json LICENSE headwaters.schema.json ./
RUN npm ci --omit=dev --ignore-scripts && npm cache clean --force
COPY --from=build /app/dist dist
RUN ln -s /app/dist/cli/main.js /usr/local/bin/headwaters && mkdir /data && chown node:node /data
USER node
WORKDIR /data
ENTRYPOINT ["headwaters"]
CMD ["--help"]
