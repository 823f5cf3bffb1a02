import DefaultTheme from "vitepress/theme";
import Mermaid from "./Mermaid.vue";

// oxlint-disable-next-line import/no-default-export -- VitePress asks for it
export default {
  extends: DefaultTheme,
  enhanceApp({ app }) {
    app.component("Mermaid", Mermaid);
  },
};
